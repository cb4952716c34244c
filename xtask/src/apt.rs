//! Packages of Debian and its descendants.

use crate::Outcome;
use crate::run::{command, find_program, output_of, run_logged, say};

/// Installs packages, where the system has apt-get and lets us. Never removes one.
///
/// # Errors
/// Says what to install by hand, and why this could not.
pub fn install(packages: &[&str], purpose: &str) -> Outcome {
    let list = packages.join(" ");
    let by_hand = |why: &str| {
        format!("{purpose} is missing, and {why}; install it by hand (on Debian: apt-get install {list})")
    };
    if find_program(&["apt-get"]).is_none() {
        return Err(by_hand("this system has no apt-get").into());
    }
    let root = root_prefix().ok_or_else(|| by_hand("this user may not install packages"))?;
    let apt = |args: &[&str]| {
        let mut words: Vec<&str> = root.to_vec();
        words.extend(["env", "DEBIAN_FRONTEND=noninteractive", "apt-get"]);
        words.extend(args);
        run_logged(&mut command(words[0], &words[1..]), "setup-apt.log")
    };
    say(&format!("installing {purpose}: {list}"));
    // Old lists still serve when the server cannot be reached just now.
    if let Err(error) = apt(&["update"]) {
        say(&format!("{error}; trying with the lists there are"));
    }
    let mut install = vec!["install", "--yes", "--no-install-recommends", "--no-remove"];
    install.extend(packages);
    apt(&install).map_err(|error| by_hand(&error.to_string()).into())
}

/// The words before a command that make it run as root; `None` when nothing does.
fn root_prefix() -> Option<&'static [&'static str]> {
    if output_of(&mut command("id", &["-u"])).as_deref() == Some("0") {
        return Some(&[]);
    }
    output_of(&mut command("sudo", &["-n", "true"])).map(|_| &["sudo", "-n"][..])
}
