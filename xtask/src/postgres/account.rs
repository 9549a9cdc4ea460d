//! Under whose name the private server runs: it refuses to run as root.

use std::fs;
use std::os::unix::process::CommandExt as _;
use std::process::Command;

use anyhow::{Context as _, Result};

/// An unprivileged account of this machine.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Account {
    pub(super) user: u32,
    pub(super) group: u32,
}

impl Account {
    /// The account to change to: none unless we are root.
    ///
    /// # Errors
    ///
    /// When we are root and the machine has neither a `postgres` nor a `nobody`.
    pub(super) fn needed() -> Result<Option<Self>> {
        if !is_root()? {
            return Ok(None);
        }
        let accounts = fs::read_to_string("/etc/passwd").context("cannot read /etc/passwd")?;
        let account = ["postgres", "nobody"].iter().find_map(|name| Self::named(&accounts, name));
        account.map(Some).context(
            "PostgreSQL refuses to run as root, and there is neither a user `postgres` nor `nobody`; run the tests as an \
             ordinary user",
        )
    }

    fn named(accounts: &str, name: &str) -> Option<Self> {
        let line = accounts.lines().find(|line| line.split(':').next() == Some(name))?;
        let mut fields = line.split(':').skip(2);
        Some(Self { user: fields.next()?.parse().ok()?, group: fields.next()?.parse().ok()? })
    }
}

/// A command that runs as `account`, or as ourselves.
pub(super) fn run_as(account: Option<Account>, mut command: Command) -> Command {
    if let Some(account) = account {
        command.uid(account.user).gid(account.group);
    }
    command
}

/// Whether we may do everything.
pub(super) fn is_root() -> Result<bool> {
    let output = Command::new("id").arg("-u").output().context("cannot run `id -u`")?;
    Ok(output.stdout.trim_ascii() == b"0")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accounts_are_read() {
        let accounts = "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65533:nobody:/:/bin/false\n";
        assert_eq!(Account::named(accounts, "nobody"), Some(Account { user: 65534, group: 65533 }));
        assert_eq!(Account::named(accounts, "postgres"), None);
    }
}
