//! Linux: what supervises a process, out of the path of its control group.

use super::super::Unit;

/// As many digits of a container's id as its runtime shows.
const SHOWN_OF_ID: usize = 12;

/// Scopes and folders of containers: how their names begin, and the runtime.
const RUNTIMES: [(&str, &str); 10] = [
    ("docker-", "docker"),
    ("libpod-conmon-", "podman"),
    ("libpod-", "podman"),
    ("cri-containerd-", "containerd"),
    ("crio-conmon-", "cri-o"),
    ("crio-", "cri-o"),
    ("nerdctl-", "containerd"),
    ("lxc.payload.", "lxc"),
    ("lxc.monitor.", "lxc"),
    ("machine-", "machine"),
];

/// Folders whose parts are containers.
const PARENTS: [(&str, &str); 5] = [
    ("docker", "docker"),
    ("libpod_parent", "podman"),
    ("lxc", "lxc"),
    ("lxc.payload", "lxc"),
    ("kubepods", "kubernetes"),
];

/// `/proc/PID/cgroup`: a line a tree, `number:controllers:path`. A container is in at least one of them; a service in
/// the one of systemd.
pub(crate) fn unit_of_process(groups: &str) -> Option<Unit> {
    let units: Vec<Unit> = groups.lines().filter_map(path_of).filter_map(unit).collect();
    let is_container = |unit: &&Unit| matches!(unit, Unit::Container(_));
    units.iter().find(is_container).or(units.first()).cloned()
}

fn path_of(line: &str) -> Option<&str> {
    line.splitn(3, ':').nth(2)
}

/// The innermost unit of a control group's path. What is started by hand has none: a login, a terminal's tab, an
/// application of the desktop; unless that is in a container.
pub(crate) fn unit(path: &str) -> Option<Unit> {
    let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
    let mut is_by_hand = false;
    for (at, part) in parts.iter().enumerate().rev() {
        if let Some(container) = container(&parts[..at], part) {
            return Some(Unit::Container(container));
        }
        is_by_hand |= kind(part) == "scope" || is_of_desktop(&parts[..at], part);
        if kind(part) == "service" && !is_by_hand {
            return Some(Unit::Service((*part).to_owned()));
        }
    }
    None
}

/// `service` of `nginx.service`.
fn kind(part: &str) -> &str {
    part.rsplit_once('.').map_or("", |(_, kind)| kind)
}

/// The user's own manager is everybody's ancestor; and below it a desktop starts applications, terminals too, as services
/// that are called after them: `app-org.kde.konsole@8f2e.service`.
fn is_of_desktop(parents: &[&str], part: &str) -> bool {
    let is_manager = |part: &str| part.starts_with("user@");
    let is_application =
        part.contains('@') && ["app-", "dbus-"].iter().any(|start| part.starts_with(start));
    is_manager(part) || is_application && parents.iter().any(|parent| is_manager(parent))
}

fn container(parents: &[&str], part: &str) -> Option<String> {
    // `kubepods-….slice:cri-containerd:ID`: slice, runtime and id where the runtime was not told to use systemd.
    if let [_, runtime, id] = part.split(':').collect::<Vec<_>>()[..] {
        return Some(named(runtime.trim_start_matches("cri-"), id));
    }
    let name = part.trim_end_matches(".scope");
    let begun = RUNTIMES.iter().find_map(|(start, runtime)| {
        name.strip_prefix(start).filter(|id| !id.is_empty()).map(|id| named(runtime, id))
    });
    let is_something_else = matches!(kind(part), "slice" | "service");
    if let Some(begun) = begun.filter(|_| !is_something_else) {
        return Some(begun);
    }
    let parent = PARENTS.iter().find(|(parent, _)| match *parent {
        // `kubepods/burstable/podUID/ID`.
        "kubepods" => parents.contains(parent) && is_id(name),
        parent => parents.last() == Some(&parent),
    });
    match parent {
        Some((_, runtime)) => Some(named(runtime, name)),
        // Nobody else calls a group by 64 digits.
        None => is_id(name).then(|| named("container", name)),
    }
}

fn named(runtime: &str, id: &str) -> String {
    let is_hex = id.len() >= SHOWN_OF_ID && id.bytes().all(|byte| byte.is_ascii_hexdigit());
    let shown = if is_hex { &id[..SHOWN_OF_ID] } else { id };
    // systemd writes a dash in a name as this.
    format!("{runtime} {}", shown.replace("\\x2d", "-"))
}

fn is_id(name: &str) -> bool {
    name.len() == 64 && name.bytes().all(|byte| byte.is_ascii_hexdigit())
}

#[cfg(test)]
mod tests {
    use super::{Unit, unit, unit_of_process};

    const ID: &str = "3f2a91c0d4e5b6a798897a6b5c4d3e2f3f2a91c0d4e5b6a798897a6b5c4d3e2f";

    fn container(name: &str) -> Unit {
        Unit::Container(name.to_owned())
    }

    fn service(name: &str) -> Unit {
        Unit::Service(name.to_owned())
    }

    #[test]
    fn services_have_their_name_and_what_is_started_by_hand_has_none() {
        for (path, expected) in [
            ("/", None),
            ("/init.scope", None),
            ("/system.slice/nginx.service", Some(service("nginx.service"))),
            (
                "/system.slice/system-getty.slice/getty@tty1.service",
                Some(service("getty@tty1.service")),
            ),
            (
                "/system.slice/system-postgresql.slice/postgresql@15-main.service",
                Some(service("postgresql@15-main.service")),
            ),
            // A part that the service itself has made.
            ("/system.slice/systemd-udevd.service/udev", Some(service("systemd-udevd.service"))),
            ("/system.slice/docker.service", Some(service("docker.service"))),
            ("/system.slice/app-api@1.service", Some(service("app-api@1.service"))),
            ("/system.slice/run-r1d9f.service", Some(service("run-r1d9f.service"))),
            ("/user.slice/user-1000.slice/session-3.scope", None),
            ("/user.slice/user-1000.slice/user@1000.service", None),
            ("/user.slice/user-1000.slice/user@1000.service/init.scope", None),
            (
                "/user.slice/user-1000.slice/user@1000.service/app.slice/redis.service",
                Some(service("redis.service")),
            ),
            (
                "/user.slice/user-1000.slice/user@1000.service/session.slice/pipewire.service",
                Some(service("pipewire.service")),
            ),
            (
                "/user.slice/user-1000.slice/user@1000.service/app.slice/app-gnome-code-7123.scope",
                None,
            ),
            (
                "/user.slice/user-1000.slice/user@1000.service/app.slice/app-org.gnome.Terminal.slice/vte-spawn-4a61.scope",
                None,
            ),
            (
                "/user.slice/user-1000.slice/user@1000.service/app.slice/app-org.kde.konsole@8f2e.service",
                None,
            ),
            (
                "/user.slice/user-1000.slice/user@1000.service/app.slice/dbus-:1.2-org.gnome.Terminal@0.service",
                None,
            ),
            ("/user.slice/user-1000.slice/user@1000.service/tmux-spawn-9c1f.scope", None),
        ] {
            assert_eq!(unit(path), expected, "{path}");
        }
    }

    #[test]
    fn containers_have_their_runtime_and_their_id_or_name() {
        for (path, expected) in [
            (format!("/system.slice/docker-{ID}.scope"), "docker 3f2a91c0d4e5"),
            (format!("/docker/{ID}"), "docker 3f2a91c0d4e5"),
            // Docker in a container: the inner one.
            (format!("/docker/{}/docker/{ID}", "0".repeat(64)), "docker 3f2a91c0d4e5"),
            (
                format!(
                    "/user.slice/user-1000.slice/user@1000.service/user.slice/libpod-{ID}.scope/container"
                ),
                "podman 3f2a91c0d4e5",
            ),
            (format!("/machine.slice/libpod-conmon-{ID}.scope"), "podman 3f2a91c0d4e5"),
            (format!("/libpod_parent/libpod-{ID}"), "podman 3f2a91c0d4e5"),
            (
                format!(
                    "/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod1f.slice/cri-containerd-{ID}.scope"
                ),
                "containerd 3f2a91c0d4e5",
            ),
            (format!("/kubepods.slice/kubepods-pod1f.slice/crio-{ID}.scope"), "cri-o 3f2a91c0d4e5"),
            (
                format!(
                    "/system.slice/containerd.service/kubepods-besteffort-pod1f.slice:cri-containerd:{ID}"
                ),
                "containerd 3f2a91c0d4e5",
            ),
            (format!("/kubepods/burstable/pod8a1d/{ID}"), "kubernetes 3f2a91c0d4e5"),
            (format!("/actions_job/{ID}"), "container 3f2a91c0d4e5"),
            ("/lxc/web".to_owned(), "lxc web"),
            ("/lxc.payload.web/user.slice/user-0.slice/session-c1.scope".to_owned(), "lxc web"),
            ("/lxc.payload.web".to_owned(), "lxc web"),
            ("/lxc.monitor.web".to_owned(), "lxc web"),
            (
                "/machine.slice/machine-qemu\\x2d1\\x2ddebian.scope".to_owned(),
                "machine qemu-1-debian",
            ),
            ("/machine.slice/machine-debian.scope/payload".to_owned(), "machine debian"),
        ] {
            assert_eq!(unit(&path), Some(container(expected)), "{path}");
        }
    }

    #[test]
    fn the_innermost_unit_counts() {
        let path = format!("/docker/{ID}/system.slice/nginx.service");
        assert_eq!(unit(&path), Some(service("nginx.service")));
        assert_eq!(unit("/lxc.payload.web/system.slice/ssh.service"), Some(service("ssh.service")));
    }

    #[test]
    fn a_process_is_in_a_group_of_each_tree() {
        let alone = "0::/system.slice/nginx.service\n";
        assert_eq!(unit_of_process(alone), Some(service("nginx.service")));

        let docker = format!(
            "12:pids:/docker/{ID}\n1:name=systemd:/docker/{ID}\n0::/system.slice/docker.service\n"
        );
        assert_eq!(unit_of_process(&docker), Some(container("docker 3f2a91c0d4e5")));

        let login =
            "4:memory:/user.slice\n1:name=systemd:/user.slice/user-1000.slice/session-3.scope\n";
        assert_eq!(unit_of_process(login), None);
        assert_eq!(unit_of_process(""), None);
    }
}
