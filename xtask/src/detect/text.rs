//! What was found as the text of a dev.toml.

use super::{Found, Patch, Setup};

/// The dev.toml that says the same. The names in it need no quoting: all of them are known here.
pub fn text(services: &[Found]) -> String {
    let tables: Vec<String> = services.iter().map(|found| table(found, services)).collect();
    format!(
        "# The stack as it was found here. The README of xtask names every key.\n\n{}",
        tables.join("\n")
    )
}

fn table(found: &Found, services: &[Found]) -> String {
    let mut text = String::new();
    for doubt in &found.doubts {
        text += &format!("# {doubt}\n");
    }
    text += &format!("[services.{}]\n", found.service);
    if found.dir != "." {
        text += &format!("dir = \"{}\"\n", found.dir);
    }
    if let Some(Setup { command, unless }) = found.setup {
        let unless = unless.map(|path| format!(", unless = \"{path}\"")).unwrap_or_default();
        text += &format!("setup = {{ command = \"{command}\"{unless} }}\n");
    }
    text += &format!("command = \"{}\"\n", found.command);
    let usual = match found.port_from {
        None => format!("  # the usual one: {}", found.why_usual()),
        Some(_) => String::new(),
    };
    text += &format!("port = {}{usual}\n", found.port);
    if found.service == "frontend" && services.iter().any(|other| other.service == "backend") {
        text += "depends-on = [\"backend\"]\n";
    }
    if !found.patch.is_empty() {
        let lines: String = found.patch.iter().map(patch).collect();
        text += &format!("patch = [\n{lines}]\n");
    }
    text
}

fn patch(Patch { file, key }: &Patch) -> String {
    let set = key.map(|key| format!(", set = {{ \"{key}\" = \"{{port}}\" }}")).unwrap_or_default();
    format!("  {{ file = \"{file}\"{set} }},\n")
}
