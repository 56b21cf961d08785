//! The settings in `config.json`.

use std::fs;
use std::path::Path;

use serde::Deserialize;

#[derive(Debug, Deserialize)]
pub struct Config {
    pub server: Server,
}

#[derive(Debug, Deserialize)]
pub struct Server {
    pub host: String,
    pub port: u16,
}

impl Config {
    /// Reads the file at `path`; the error is one line that names the file.
    pub fn load(path: &Path) -> Result<Self, String> {
        let text =
            fs::read_to_string(path).map_err(|e| format!("cannot read {}: {e}", path.display()))?;
        Self::parse(&text).map_err(|e| format!("{} is not valid: {e}", path.display()))
    }

    fn parse(text: &str) -> serde_json::Result<Self> {
        serde_json::from_str(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_host_and_port() {
        let config = Config::parse(r#"{ "server": { "host": "127.0.0.1", "port": 8000 } }"#);
        let server = config.unwrap().server;
        assert_eq!(server.host, "127.0.0.1");
        assert_eq!(server.port, 8000);
    }

    #[test]
    fn rejects_a_port_out_of_range() {
        let error = Config::parse(r#"{ "server": { "host": "127.0.0.1", "port": 80000 } }"#)
            .unwrap_err()
            .to_string();
        assert!(error.contains("80000"), "{error}");
    }

    #[test]
    fn names_a_missing_file() {
        let error = Config::load(Path::new("no-such-config.json")).unwrap_err();
        assert!(error.contains("no-such-config.json"), "{error}");
        assert!(!error.contains('\n'), "{error}");
    }
}
