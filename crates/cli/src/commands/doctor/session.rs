//! `RemoveIPC` of systemd-logind: whether the channels of a user are removed at logout.

use std::fs;
use std::path::{Path, PathBuf};

use super::Finding;
use crate::users;

/// The highest id of a system user, whose objects logind spares, unless login.defs says otherwise.
const SYSTEM_USER_MAX: u32 = 999;

pub fn check() -> Vec<Finding> {
    vec![removal(Path::new("/"), users::me(), &users::name(users::me()))]
}

/// Returns the finding for a user on a system with this root folder.
fn removal(root: &Path, uid: u32, user: &str) -> Finding {
    let check = "logout";
    if !root.join("run/systemd/system").exists() {
        return Finding::fine(check, "systemd is not running: nothing is removed at logout");
    }
    if uid <= SYSTEM_USER_MAX {
        return Finding::fine(
            check,
            format!("{user} is a system user: its channels stay at logout"),
        );
    }
    if !removes(root) {
        return Finding::fine(check, "logind keeps System V objects (RemoveIPC=no)");
    }
    if root.join("var/lib/systemd/linger").join(user).exists() {
        return Finding::fine(check, format!("{user} lingers: its channels stay at logout"));
    }
    Finding::problem(
        check,
        format!("logind removes the channels of {user} when its last session ends (RemoveIPC=yes)"),
        format!(
            "`loginctl enable-linger {user}`, or RemoveIPC=no in /etc/systemd/logind.conf, or run the \
             programs as a system user"
        ),
    )
}

/// Returns the setting, of which the last one counts: the main file, then the fragments by name.
fn removes(root: &Path) -> bool {
    let mut fragments: Vec<PathBuf> = ["usr/lib", "run", "etc"]
        .iter()
        .filter_map(|folder| fs::read_dir(root.join(folder).join("systemd/logind.conf.d")).ok())
        .flatten()
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.extension().is_some_and(|ending| ending == "conf"))
        .collect();
    fragments.sort_by_key(|path| path.file_name().map(ToOwned::to_owned));
    let main = ["usr/lib", "etc"].map(|folder| root.join(folder).join("systemd/logind.conf"));
    let texts = main.iter().chain(&fragments).filter_map(|path| fs::read_to_string(path).ok());
    let setting = |text: String| {
        let mut values = text.lines().filter_map(|line| {
            let (name, value) = line.split_once('=')?;
            (name.trim() == "RemoveIPC").then(|| value.trim().to_ascii_lowercase())
        });
        values.next_back()
    };
    let value = texts.filter_map(setting).next_back();
    value.is_none_or(|value| matches!(value.as_str(), "yes" | "true" | "1" | "on" | "y" | "t"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::doctor::Verdict;

    /// A root folder that is removed with this value.
    struct Root(PathBuf);

    impl Root {
        fn new(name: &str, files: &[(&str, &str)]) -> Root {
            let root = std::env::temp_dir().join(format!("sysvring-{name}-{}", std::process::id()));
            for (path, text) in files {
                let path = root.join(path);
                fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
                fs::write(path, text).expect("a file");
            }
            Root(root)
        }

        fn verdict(&self, uid: u32) -> Verdict {
            removal(&self.0, uid, "me").verdict
        }
    }

    impl Drop for Root {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    const SYSTEMD: (&str, &str) = ("run/systemd/system/x", "");

    #[test]
    fn the_default_of_systemd_bites_users() {
        let root = Root::new("default", &[SYSTEMD, ("etc/systemd/logind.conf", "#RemoveIPC=no\n")]);
        assert_eq!(root.verdict(1000), Verdict::Problem);
        assert_eq!(root.verdict(0), Verdict::Fine);
        assert_eq!(Root::new("none", &[("x", "")]).verdict(1000), Verdict::Fine);
    }

    #[test]
    fn the_last_setting_counts() {
        let main = ("etc/systemd/logind.conf", "[Login]\nRemoveIPC = no\n");
        assert_eq!(Root::new("no", &[SYSTEMD, main]).verdict(1000), Verdict::Fine);
        let later = ("etc/systemd/logind.conf.d/9.conf", "[Login]\nRemoveIPC=yes\n");
        assert_eq!(Root::new("later", &[SYSTEMD, main, later]).verdict(1000), Verdict::Problem);
    }

    #[test]
    fn a_user_who_lingers_is_safe() {
        let root = Root::new("linger", &[SYSTEMD, ("var/lib/systemd/linger/me", "")]);
        assert_eq!(root.verdict(1000), Verdict::Fine);
    }
}
