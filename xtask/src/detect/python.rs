//! How a Python service is started, where its files leave no doubt.

use super::Folder;
use super::start::{Start, unknown};
use crate::failure::Failure;

/// The files that say what a service needs.
const NEEDS: [&str; 2] = ["pyproject.toml", "requirements.txt"];

/// Where the application object usually is: the file, and its name as a module.
const MODULES: [(&str, &str); 8] = [
    ("main.py", "main"),
    ("app.py", "app"),
    ("api.py", "api"),
    ("server.py", "server"),
    ("app/main.py", "app.main"),
    ("app/__init__.py", "app"),
    ("api/main.py", "api.main"),
    ("src/main.py", "src.main"),
];

/// Does the folder hold something in Python?
pub(super) fn is_there(folder: &Folder<'_>) -> Result<bool, Failure> {
    for file in NEEDS {
        if folder.has(file)? {
            return Ok(true);
        }
    }
    is_django(folder)
}

/// Is it certain that the folder holds a service in Python?
pub(super) fn is_certain(folder: &Folder<'_>) -> Result<bool, Failure> {
    Ok(is_there(folder)? && known(folder)?.is_ok())
}

/// How the service in `folder` is started.
pub(super) fn start(folder: &Folder<'_>) -> Result<Start, Failure> {
    known(folder)?.map_err(|why_not| unknown(why_not, folder.role.name()))
}

/// The same, or why it is not known although every file could be read.
fn known(folder: &Folder<'_>) -> Result<Result<Start, String>, Failure> {
    let name = folder.role.name();
    if needs(folder, "fastapi")? {
        let Some((app, doubts)) = app(folder, "FastAPI")? else {
            let modules = MODULES.map(|(file, _)| file).join(", ");
            return Ok(Err(format!(
                "the {name} needs FastAPI, but none of {modules} has a line like `app = FastAPI()`"
            )));
        };
        let command = format!("uvicorn {app} --port {{port}}");
        return Ok(Ok(Start { command, doubts, ..Start::default() }));
    }
    if is_django(folder)? {
        let command = "python3 manage.py runserver {port}".to_owned();
        return Ok(Ok(Start { command, ..Start::default() }));
    }
    if needs(folder, "flask")?
        && let Some((app, doubts)) = app(folder, "Flask")?
    {
        let command = format!("flask --app {app} run --port {{port}}");
        return Ok(Ok(Start { command, doubts, ..Start::default() }));
    }
    Ok(Err(format!(
        "the {name} is written in Python, but what starts it is not known: looked for FastAPI, Django and Flask"
    )))
}

fn is_django(folder: &Folder<'_>) -> Result<bool, Failure> {
    Ok(folder.read("manage.py")?.is_some_and(|text| text.contains("DJANGO_SETTINGS_MODULE")))
}

/// Does one of the files name this package? Whether it is really used, the line that makes the application says.
fn needs(folder: &Folder<'_>, package: &str) -> Result<bool, Failure> {
    for file in NEEDS {
        if folder.read(file)?.is_some_and(|text| names(&text, package)) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Is `package` a word of its own in `text`, in any case and outside comments?
fn names(text: &str, package: &str) -> bool {
    let is_part = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    let code = text.lines().map(|line| line.split('#').next().unwrap_or_default());
    let mut words = code.flat_map(|line| line.split(|c| !is_part(c)));
    words.any(|word| word.eq_ignore_ascii_case(package))
}

/// `main:app`, the object of `class` that a module makes, and the doubts where several do.
fn app(folder: &Folder<'_>, class: &str) -> Result<Option<(String, Vec<String>)>, Failure> {
    let mut found = Vec::new();
    for (file, module) in MODULES {
        let text = folder.read(file)?.unwrap_or_default();
        let variable = text.lines().find_map(|line| made(line, class));
        found.extend(variable.map(|variable| format!("{module}:{variable}")));
    }
    let others = found.split_off(found.len().min(1));
    let Some(first) = found.pop() else { return Ok(None) };
    let doubts = if others.is_empty() {
        Vec::new()
    } else {
        vec![format!("{first} is started, and there is {} too", others.join(", "))]
    };
    Ok(Some((first, doubts)))
}

/// The name that a line gives to a new object of `class`: `app = FastAPI(`, `app: FastAPI = FastAPI(`. Only at the top of
/// a module: elsewhere nobody else sees it.
fn made<'l>(line: &'l str, class: &str) -> Option<&'l str> {
    let (names, value) = line.split_once('=')?;
    let name = names.split(':').next()?.trim_end();
    let is_name = name.starts_with(|c: char| c.is_alphabetic() || c == '_')
        && name.chars().all(|c| c.is_alphanumeric() || c == '_');
    let made = value.trim_start().trim_start_matches("fastapi.").trim_start_matches("flask.");
    let is_made = made.strip_prefix(class).is_some_and(|rest| rest.trim_start().starts_with('('));
    (is_name && is_made).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::{made, names};

    #[test]
    fn a_package_is_named_by_a_word_of_its_own() {
        for (text, expected) in [
            ("fastapi\n", true),
            ("FastAPI[standard]>=0.110 ; python_version > '3.8'\n", true),
            ("dependencies = [\"uvicorn\", \"fastapi~=0.1\"]", true),
            ("fastapi = \"^0.110\"", true),
            ("fastapi-users==1\n", false),
            ("# fastapi\n", false),
            ("my_fastapi\n", false),
            ("", false),
        ] {
            assert_eq!(names(text, "fastapi"), expected, "{text}");
        }
    }

    #[test]
    fn the_application_is_what_the_top_of_a_module_names() {
        for (line, expected) in [
            ("app = FastAPI()", Some("app")),
            ("api=FastAPI(title='x')", Some("api")),
            ("app: FastAPI = FastAPI(", Some("app")),
            ("app = fastapi.FastAPI()", Some("app")),
            ("    app = FastAPI()", None),
            ("# app = FastAPI()", None),
            ("app = FastAPIOffline()", None),
            ("app.state = FastAPI()", None),
            ("return FastAPI()", None),
        ] {
            assert_eq!(made(line, "FastAPI"), expected, "{line}");
        }
    }
}
