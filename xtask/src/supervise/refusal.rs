//! What a server says when it cannot have its port.

use portman::port::Port;

/// How runtimes word it. The system's own words are the same in all of them, whatever language the server speaks.
const WORDS: [&str; 3] = ["eaddrinuse", "address already in use", "address in use"];

/// Does a program say here that `port` is taken?
pub(super) fn says_taken(text: &[u8], port: Port) -> bool {
    let text = String::from_utf8_lossy(text).to_lowercase();
    text.lines().any(|line| WORDS.iter().any(|words| line.contains(words)) && names(line, port))
}

/// A line that names ports, as `:8000`, `port 8000` or `('127.0.0.1', 8000)`, has to name this one.
fn names(line: &str, port: Port) -> bool {
    let mut named = ports(line).peekable();
    named.peek().is_none() || named.any(|number| number == port.get())
}

fn ports(line: &str) -> impl Iterator<Item = u16> {
    let starts = [":", "port ", "', "].into_iter();
    starts.flat_map(|start| line.match_indices(start)).filter_map(|(at, start)| {
        let rest = &line[at + start.len()..];
        let digits = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
        // Times have two digits there.
        rest[..digits].parse().ok().filter(|_| digits >= 3)
    })
}

#[cfg(test)]
mod tests {
    use super::says_taken;
    use portman::port::Port;

    #[test]
    fn what_servers_say_is_understood() {
        let port = Port::new(8000).unwrap();
        for (said, expected) in [
            ("Error: listen EADDRINUSE: address already in use 127.0.0.1:8000", true),
            ("Error: listen EADDRINUSE: address already in use :::8000", true),
            ("OSError: [Errno 98] Address already in use", true),
            ("12:30:01 could not start: Address already in use (os error 98)", true),
            ("listen tcp :8000: bind: address already in use", true),
            ("java.net.BindException: Address already in use", true),
            ("cannot bind port 8000: Address already in use", true),
            ("one\nOSError: [Errno 98] Address already in use\ntwo", true),
            ("Starting inspector on 127.0.0.1:9229 failed: address already in use", false),
            ("port 9000: address in use", false),
            (
                "error while attempting to bind on address ('127.0.0.1', 8000): address already in use",
                true,
            ),
            (
                "error while attempting to bind on address ('127.0.0.1', 7000): address already in use",
                false,
            ),
            ("listening on 8000", false),
            ("", false),
        ] {
            assert_eq!(says_taken(said.as_bytes(), port), expected, "{said}");
        }
    }
}
