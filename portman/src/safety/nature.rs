//! What a process is: by where its program lies, and by the program's name.

use std::fmt;
use std::path::Path;

use crate::owner::Owner;

/// What a process is, as far as that decides whether it may be stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Nature {
    /// It keeps data.
    Database,
    /// A program that one develops with, or has built oneself.
    Development,
    /// Anything else.
    Other,
}

impl fmt::Display for Nature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Database => "a database",
            Self::Development => "a development server",
            Self::Other => "no development server",
        })
    }
}

/// What a process is.
pub fn nature(owner: &Owner) -> Nature {
    if is_database(owner) {
        return Nature::Database;
    }
    let Some(program) = &owner.program else {
        // Only its name is left.
        return if is_one_of(&owner.name, &RUNTIMES) { Nature::Development } else { Nature::Other };
    };
    let is_runtime = program_name(owner).is_some_and(|name| is_one_of(&name, &RUNTIMES));
    if is_of_an_editor(program) || !(is_runtime || is_of_a_project(program, owner)) {
        return Nature::Other;
    }
    Nature::Development
}

fn is_database(owner: &Owner) -> bool {
    let is = |known: &[&str]| names(owner).any(|name| is_one_of(&name, known));
    let has_class = || DATABASES_BY_CLASS.iter().any(|class| owner.cmdline.contains(class));
    is(&DATABASES) || (is(&RUN_CLASSES) && has_class())
}

/// Editors bring runtimes of their own, and their windows would go with them.
fn is_of_an_editor(program: &Path) -> bool {
    parts(program).any(|part| is_one_of(part, &EDITORS))
}

/// Does it carry ports to containers or virtual machines?
pub(super) fn is_relay(owner: &Owner) -> bool {
    names(owner).any(|name| is_one_of(&name, &RELAYS))
}

/// Was the program built in a project, is it one that cargo runs, or does it lie in the folder that it runs in?
fn is_of_a_project(program: &Path, owner: &Owner) -> bool {
    let folders = || parts(program.parent().unwrap_or(program));
    let mut below_target = folders().skip_while(|part| *part != "target");
    let is_built = below_target.any(|part| ["debug", "release"].contains(&part))
        || folders().any(|part| is_one_of(part, &OF_PROJECTS));
    let is_where_it_runs = owner
        .dir
        .as_deref()
        .is_some_and(|dir| program.starts_with(dir) && !is_general(dir, owner.user.as_deref()));
    // What cargo runs may start an installed program, which inherits all that cargo has said.
    is_built || (!is_installed(program) && (owner.by_cargo || is_where_it_runs))
}

/// Does it lie where programs are installed? Many of those run in their own folder.
fn is_installed(program: &Path) -> bool {
    let top = parts(program).find(|part| *part != "/");
    top.is_some_and(|top| is_one_of(top, &INSTALLED)) || program.starts_with("/var/lib/snapd")
}

/// A folder that holds more than a project: a home, or one of the system's.
fn is_general(dir: &Path, user: Option<&str>) -> bool {
    const SYSTEM: [&str; 5] = ["/", "/home", "/root", "/tmp", "/var"];
    let name = dir.file_name().and_then(|name| name.to_str());
    let parent = dir.parent().and_then(Path::to_str);
    SYSTEM.iter().any(|system| dir == Path::new(system))
        || matches!(parent, Some("/home" | "/Users"))
        || (name.is_some() && name == user)
}

fn parts(path: &Path) -> impl Iterator<Item = &str> {
    path.iter().filter_map(|part| part.to_str())
}

/// The name of its program's file.
fn program_name(owner: &Owner) -> Option<String> {
    let name = owner.program.as_deref()?.file_name()?.to_string_lossy().into_owned();
    // An updated program's file is gone; the system says so behind its name.
    Some(name.trim_end_matches(" (deleted)").to_owned())
}

/// What it calls itself, and what its program's file is called.
fn names(owner: &Owner) -> impl Iterator<Item = String> {
    program_name(owner).into_iter().chain([owner.name.clone()])
}

/// Its program's name, or its own where that is not known.
pub(super) fn shown_name(owner: &Owner) -> String {
    program_name(owner).unwrap_or_else(|| owner.name.clone())
}

/// Is it one of these, whatever its version: `python3.11` is `python`? An entry `qemu*` is any name that begins so.
fn is_one_of(name: &str, known: &[&str]) -> bool {
    let name = name.to_lowercase();
    let name = name.trim_end_matches(".exe");
    let plain = name.trim_end_matches(|c: char| c.is_ascii_digit() || matches!(c, '.' | '-'));
    known.iter().any(|known| match known.strip_suffix('*') {
        Some(start) => name.starts_with(start),
        None => [name, plain].contains(known),
    })
}

/// Programs that carry ports to containers and virtual machines.
const RELAYS: [&str; 30] = [
    "colima",
    "com.docker.*",
    "conmon",
    "containerd*",
    "crosvm",
    "cloud-hypervisor",
    "docker-proxy",
    "dockerd*",
    "firecracker",
    "gvproxy",
    "krunvm",
    "libkrun*",
    "lima*",
    "orbstack*",
    "passt*",
    "pasta*",
    "podman*",
    "qemu*",
    "rootlesskit*",
    "rootlessport*",
    "slirp4netns",
    "svchost",
    "vboxheadless",
    "vboxnet*",
    "vmware-vmx",
    "vmnat",
    "vpnkit*",
    "wslhost",
    "wslrelay",
    "wslservice",
];

/// Programs that keep data.
const DATABASES: [&str; 33] = [
    "arangod",
    "clickhouse*",
    "cockroach",
    "consul",
    "couchdb",
    "dgraph",
    "dragonfly",
    "elasticsearch",
    "etcd",
    "influxd",
    "keydb-server",
    "mariadbd",
    "meilisearch",
    "memcached",
    "minio",
    "mongod",
    "mongos",
    "mysqld",
    "nats-server",
    "neo4j",
    "opensearch",
    "postgres",
    "postmaster",
    "prometheus",
    "qdrant",
    "redis-server",
    "redis-sentinel",
    "rethinkdb",
    "sqlservr",
    "surreal",
    "typesense-server",
    "valkey-server",
    "victoria-metrics*",
];

/// Programs that run classes, or modules.
const RUN_CLASSES: [&str; 2] = ["beam.smp", "java"];

/// Databases that these run: what their command lines hold.
const DATABASES_BY_CLASS: [&str; 11] = [
    "com.neo4j.",
    "couchdb",
    "kafka.Kafka",
    "org.apache.cassandra",
    "org.apache.zookeeper",
    "org.elasticsearch.",
    "org.h2.tools.Server",
    "org.neo4j.",
    "org.opensearch.",
    "rabbit boot",
    "rabbit_prelaunch",
];

/// Programs that run what somebody develops.
const RUNTIMES: [&str; 38] = [
    "air",
    "astro",
    "beam.smp",
    "bun",
    "bundle",
    "cargo",
    "deno",
    "dotnet",
    "esbuild",
    "flask",
    "go",
    "gradle",
    "gunicorn",
    "hypercorn",
    "java",
    "mvn",
    "next",
    "next-server",
    "node",
    "nodejs",
    "nodemon",
    "npm",
    "npx",
    "nuxt",
    "php",
    "pnpm",
    "puma",
    "pypy",
    "python",
    "rails",
    "ruby",
    "ts-node",
    "tsx",
    "uvicorn",
    "vite",
    "webpack",
    "workerd",
    "yarn",
];

/// Folders of editors.
const EDITORS: [&str; 6] = [".vscode*", ".cursor*", ".windsurf*", ".zed*", "jbr", "jetbrains"];

/// Folders at the top that programs are installed in, also with a number: `lib64`.
const INSTALLED: [&str; 13] = [
    "applications",
    "bin",
    "lib",
    "libexec",
    "library",
    "libx",
    "opt",
    "program files*",
    "sbin",
    "snap",
    "srv",
    "system",
    "usr",
];

/// Folders that programs of a project lie in.
const OF_PROJECTS: [&str; 4] = ["go-build*", "node_modules", ".venv", "venv"];

#[cfg(test)]
mod tests {
    use super::{DATABASES, Nature, RELAYS, RUNTIMES, is_relay, nature};
    use crate::owner::Owner;

    fn owner(program: &str, dir: &str) -> Owner {
        let (_, name) = program.rsplit_once('/').unwrap();
        Owner {
            name: name.to_owned(),
            cmdline: program.to_owned(),
            user: Some("ann".to_owned()),
            uid: Some(1000),
            program: Some(program.into()),
            dir: Some(dir.into()),
            ..Owner::sample(7)
        }
    }

    #[test]
    fn what_a_program_is_follows_from_its_place_and_then_from_its_name() {
        use Nature::{Database, Development, Other};
        for (program, dir, expected) in [
            // Runtimes, of whatever version.
            ("/usr/bin/python3.11", "/", Development),
            ("/usr/local/bin/node", "/srv/x", Development),
            ("/opt/php/bin/php8.2", "/", Development),
            ("/usr/bin/ruby3.1", "/", Development),
            ("/usr/lib/jvm/17/bin/java", "/", Development),
            ("C:/node.exe", "/", Development),
            // Built in a project.
            ("/home/ann/app/target/debug/api", "/", Development),
            ("/home/ann/app/target/release/api (deleted)", "/", Development),
            ("/w/target/x86_64-unknown-linux-gnu/debug/api", "/", Development),
            ("/tmp/go-build123/b001/exe/main", "/", Development),
            ("/w/node_modules/.bin/thing", "/", Development),
            ("/w/.venv/bin/serve", "/", Development),
            ("/w/venv/bin/serve", "/", Development),
            ("/w/app/build/server", "/w/app", Development),
            ("/w/app/server", "/w/app", Development),
            // Not built in one, although it looks a little like it.
            ("/usr/bin/target", "/", Other),
            ("/opt/debug/target/api", "/", Other),
            ("/w/debug/api", "/w/other", Other),
            ("/home/ann/venv", "/", Other),
            // In a folder that is no project.
            ("/home/ann/bin/syncthing", "/home/ann", Other),
            ("/data/users/ann/bin/syncthing", "/data/users/ann", Other),
            ("/root/bin/agent", "/root", Other),
            ("/usr/sbin/nginx", "/", Other),
            ("/usr/sbin/nginx", "/usr", Other),
            ("/opt/agent/agent", "/opt", Other),
            ("/var/agent/agent", "/var", Other),
            // Installed, and run in the folder that it is installed in.
            ("/opt/agent/agent", "/opt/agent", Other),
            ("/usr/lib/x/x", "/usr/lib/x", Other),
            ("/usr/local/x/bin/x", "/usr/local/x", Other),
            ("/snap/x/12/x", "/snap/x/12", Other),
            ("/srv/x/x", "/srv/x", Other),
            ("/bin/x", "/bin", Other),
            ("/sbin/x", "/sbin", Other),
            ("/lib64/x/x", "/lib64/x", Other),
            ("/var/lib/snapd/hostfs/x", "/var/lib/snapd/hostfs", Other),
            ("/Applications/X.app/Contents/MacOS/x", "/Applications/X.app", Other),
            ("/System/Library/x", "/System/Library", Other),
            ("/Program Files/x/x.exe", "/Program Files/x", Other),
            ("/Program Files (x86)/x/x.exe", "/Program Files (x86)/x", Other),
            ("/optional/app/server", "/optional/app", Development),
            ("/usr/src/app/target/debug/api", "/usr/src/app", Development),
            // Others.
            ("/usr/sbin/sshd", "/", Other),
            ("/usr/bin/ssh", "/home/ann/app", Other),
            ("/usr/bin/nodeenv-agent", "/", Other),
            // Editors.
            ("/home/ann/.vscode-server/bin/abc/node", "/home/ann/app", Other),
            ("/opt/idea/jbr/bin/java", "/home/ann/app", Other),
            // Databases, even those that somebody has built.
            ("/usr/lib/postgresql/15/bin/postgres", "/", Database),
            ("/w/target/debug/redis-server", "/w", Database),
            ("/usr/sbin/mysqld", "/", Database),
            ("/usr/bin/mongod", "/", Database),
            ("/usr/bin/clickhouse-server", "/", Database),
        ] {
            assert_eq!(nature(&owner(program, dir)), expected, "{program} in {dir}");
        }
    }

    #[test]
    fn a_database_is_known_by_its_own_name_and_by_its_class_too() {
        let mut renamed = owner("/usr/bin/node", "/");
        renamed.name = "redis-server".to_owned();
        assert_eq!(nature(&renamed), Nature::Database);
        let mut java = owner("/usr/bin/java", "/");
        java.cmdline = "java -cp lib/* org.elasticsearch.bootstrap.Elasticsearch".to_owned();
        assert_eq!(nature(&java), Nature::Database);
    }

    #[test]
    fn a_class_is_one_only_where_a_program_runs_classes() {
        use Nature::{Database, Development};
        for (program, cmdline, expected) in [
            ("/usr/bin/java", "java -cp lib/* org.apache.zookeeper.server.Main", Database),
            ("/opt/erlang/bin/beam.smp", "beam.smp -noshell -s couchdb", Database),
            ("/usr/bin/python3", "python3 -m http.server --directory /x/couchdb-ui", Development),
            ("/usr/bin/node", "node org.neo4j.js", Development),
        ] {
            let owner = Owner { cmdline: cmdline.to_owned(), ..owner(program, "/") };
            assert_eq!(nature(&owner), expected, "{cmdline}");
        }
    }

    #[test]
    fn what_cargo_runs_is_of_a_project_unless_it_is_something_else_first() {
        use Nature::{Database, Development, Other};
        for (program, expected) in [
            ("/x/build/debug/api", Development),
            ("/x/build/debug/redis-server", Database),
            // Started by what cargo runs.
            ("/usr/bin/ssh", Other),
            ("/opt/agent/agent", Other),
            ("/home/ann/.vscode-server/bin/abc/node", Other),
        ] {
            let owner = Owner { by_cargo: true, ..owner(program, "/home/ann/app") };
            assert_eq!(nature(&owner), expected, "{program}");
        }
        assert_eq!(nature(&owner("/x/build/debug/api", "/home/ann/app")), Other);
    }

    #[test]
    fn without_a_program_only_the_name_is_left() {
        for (name, expected) in [
            ("node", Nature::Development),
            ("postgres", Nature::Database),
            ("nginx", Nature::Other),
        ] {
            let owner = Owner { name: name.to_owned(), program: None, ..owner("/x", "/") };
            assert_eq!(nature(&owner), expected, "{name}");
        }
    }

    #[test]
    fn relays_are_known_by_their_program_or_name() {
        for (program, expected) in [
            ("/usr/bin/docker-proxy", true),
            ("/usr/bin/pasta.avx2", true),
            ("/usr/bin/qemu-system-x86_64", true),
            ("/Applications/Docker.app/Contents/MacOS/com.docker.backend", true),
            ("/usr/bin/rootlessport", true),
            ("/mnt/c/Windows/System32/wslrelay.exe", true),
            ("/usr/bin/docker", false),
            ("/usr/bin/node", false),
        ] {
            assert_eq!(is_relay(&owner(program, "/")), expected, "{program}");
        }
    }

    #[test]
    fn no_name_is_in_two_lists() {
        for name in RUNTIMES {
            assert!(!DATABASES.contains(&name) && !RELAYS.contains(&name), "{name}");
        }
    }
}
