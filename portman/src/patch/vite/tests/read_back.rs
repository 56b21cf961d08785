//! The second opinion sees what the splices should not have done.

use super::super::super::{Code, Edit, Splice, spliced};
use super::{locate, own, patched, peer, read_back, set};

const CONFIG: &str = "const port = 3000 // 3000
export default {
  server: { port, proxy: { '/a': 'http://localhost:8000', '/b': 'http://localhost:9000' } },
  preview: { port },
}
";

fn edits() -> [Edit; 2] {
    [own(3000, 3001), peer(8000, 8001)]
}

#[test]
fn accepts_what_was_asked() {
    let splices = locate(CONFIG, &edits()).unwrap();
    assert_eq!(read_back(CONFIG, &spliced(CONFIG, &splices), &edits(), &splices), Ok(()));
}

/// Every byte outside the splices, changed one at a time.
#[test]
fn sees_one_byte_changed_elsewhere() {
    let splices = locate(CONFIG, &edits()).unwrap();
    let after = spliced(CONFIG, &splices);
    for at in 0..after.len() {
        let mut mutant = after.clone();
        let byte = if after.as_bytes()[at] == b'x' { "y" } else { "x" };
        mutant.replace_range(at..=at, byte);
        let refusal = read_back(CONFIG, &mutant, &edits(), &splices).unwrap_err();
        assert_eq!(refusal.code, Code::ReadBack, "{mutant}");
    }
}

/// A splice list that changes one thing more, or another thing, with the text that it makes.
#[test]
fn sees_a_splice_too_many() {
    let splices = locate(CONFIG, &edits()).unwrap();
    for (found, put) in [
        ("3000", "3001"),
        ("3000 //", "3000 + 0 //"),
        ("// 3000", "// 3001 \n"),
        ("9000", "8001"),
        ("'/b'", "'/c'"),
        ("preview", "prevuew"),
        ("port },\n}", "port, host: true },\n}"),
        ("'/b': 'http://localhost:9000' ", ""),
        ("export default {", "export default { base: '/',"),
    ] {
        let start = CONFIG.find(found).unwrap();
        let mut mutant = splices.clone();
        mutant.push(splice(start..start + found.len(), put));
        mutant.sort_by_key(|splice| splice.range.start);
        let after = spliced(CONFIG, &mutant);
        let refusal = read_back(CONFIG, &after, &edits(), &mutant).expect_err(&after);
        assert!(matches!(refusal.code, Code::ReadBack | Code::Syntax), "{refusal:?}");
    }
}

#[test]
fn sees_a_splice_that_is_missing_or_wrong() {
    let splices = locate(CONFIG, &edits()).unwrap();
    assert_eq!(splices.len(), 2);
    for place in 0..splices.len() {
        let mut mutant = splices.clone();
        mutant.remove(place);
        assert_eq!(
            read_back(CONFIG, &spliced(CONFIG, &mutant), &edits(), &mutant).unwrap_err().code,
            Code::ReadBack
        );
        for wrong in ["1", "3001 /* */", "3001, port: 1", "''"] {
            let mut mutant = splices.clone();
            wrong.clone_into(&mut mutant[place].text);
            let after = spliced(CONFIG, &mutant);
            let refusal = read_back(CONFIG, &after, &edits(), &mutant).expect_err(&after);
            assert!(matches!(refusal.code, Code::ReadBack | Code::Syntax), "{refusal:?}");
        }
    }
}

/// Whatever is wrong with a file, it is refused or patched, and the second opinion never has to object.
#[test]
fn a_mutilated_config_is_no_reason_to_fail() {
    const RICH: &str = "import { defineConfig as d, mergeConfig } from 'vite'
const port = 3000, api = `http://localhost:${8000}`
export default d(({ mode }) => mergeConfig({ server: { port } }, {
  plugins: [/[(]'/, 'a', ...more], // it's
  ...(mode && { base: '/' }),
  server: { strictPort: false, hmr: { port }, proxy: { '/a': { target: api }, '/b': api + '/x' } }
}))
";
    const LETTERS: [&str; 15] = [
        "{", "}", "(", ",", "'", "`", "/", "*/", "\n", "...", "a", ": ", "// ", "\u{2028}", "8000",
    ];
    let edits = [own(3000, 3001), peer(8000, 8001), set("preview.host", "true")];
    assert!(patched(RICH, &edits).is_ok());
    for offset in 0..RICH.len() {
        let (before, behind) = RICH.split_at(offset);
        let without = format!("{before}{}", &behind[1..]);
        // Three of them at each place keep this test below a second.
        let letters = LETTERS.iter().cycle().skip(3 * offset % LETTERS.len()).take(3);
        let with = letters.map(|letter| format!("{before}{letter}{behind}"));
        for mutant in with.chain([before.to_owned(), behind.to_owned(), without]) {
            if let Err(refusal) = patched(&mutant, &edits) {
                assert_ne!(refusal.code, Code::ReadBack, "{refusal:?} in\n{mutant}");
            }
        }
    }
}

fn splice(range: std::ops::Range<usize>, text: &str) -> Splice {
    Splice {
        range,
        text: text.to_owned(),
        key: "mutant".to_owned(),
        old: None,
        new: text.to_owned(),
    }
}
