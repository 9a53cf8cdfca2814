//! Where is the root encryption key?
//!
//! Given by the environment, in a file, or made at the first start in the data folder. It is made for a new store only:
//! a store whose key is gone must not be given a fresh one that can't open it.
//!
//! Invariants:
//! 1. A key file that we make is readable by its owner alone from its first byte on, and on disk before it is used.

use std::fs::OpenOptions;
use std::io::{ErrorKind, Write};
use std::path::Path;

use crate::config::{MasterKeySource, parse_master_key};
use crate::{log, random};

/// The file that says: this folder is the demo's.
pub(crate) const DEMO_MARKER: &str = "strongroom-demo";

/// The file in the data folder.
const FILE: &str = "master.key";

/// Finds or makes the key. The error is one line that says what to do.
pub(crate) fn find(source: &MasterKeySource, data_dir: &Path) -> Result<[u8; 32], String> {
    match source {
        MasterKeySource::Given(key) => Ok(*key),
        MasterKeySource::File(path) => read(path)?.ok_or_else(|| {
            format!(
                "the master key file {} isn't there; make one with: openssl rand -hex 32 > {}",
                path.display(),
                path.display()
            )
        }),
        MasterKeySource::DataDir => {
            let path = data_dir.join(FILE);
            if let Some(key) = read(&path)? {
                return Ok(key);
            }
            if !is_new(data_dir)? {
                return Err(format!(
                    "{} holds a store but no {FILE}: bring its key back, or name it with --master-key-file or \
                     STRONGROOM_MASTER_KEY",
                    data_dir.display()
                ));
            }
            make(&path)
        }
    }
}

fn read(path: &Path) -> Result<Option<[u8; 32]>, String> {
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(format!("the master key file {} can't be read: {error}", path.display())),
    };
    parse_master_key(&text).map(Some).ok_or_else(|| {
        format!("the master key file {} must hold 32 bytes as hexadecimal or base64", path.display())
    })
}

/// Whether nothing of a store is in the folder yet.
fn is_new(data_dir: &Path) -> Result<bool, String> {
    let entries = std::fs::read_dir(data_dir)
        .map_err(|error| format!("the data folder {} can't be read: {error}", data_dir.display()))?;
    Ok(entries.flatten().all(|entry| entry.file_name() == "lost+found" || entry.file_name() == DEMO_MARKER))
}

fn make(path: &Path) -> Result<[u8; 32], String> {
    let key = random::bytes::<32>();
    let written = new_private_file(path).and_then(|mut file| {
        file.write_all(format!("{}\n", random::hex(&key)).as_bytes())?;
        file.sync_all()
    });
    let synced = written.and_then(|()| sync_folder(path));
    synced.map_err(|error| format!("the master key can't be written to {}: {error}", path.display()))?;
    log::warn(&format!(
        "a root encryption key was made in {}. Move it off this disk (then start with --master-key-file or \
         STRONGROOM_MASTER_KEY): whoever copies this folder with the key in it can read everything, and deleting a \
         partition protects best when the key lies elsewhere. Without the key the data is lost: keep a copy.",
        path.display()
    ));
    Ok(key)
}

fn new_private_file(path: &Path) -> std::io::Result<std::fs::File> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

fn sync_folder(path: &Path) -> std::io::Result<()> {
    match path.parent() {
        Some(folder) => std::fs::File::open(folder)?.sync_all(),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Lost otherwise: every other user of the machine could read the key, or a second start would make another one.
    #[cfg(unix)]
    #[test]
    fn a_key_is_made_once_for_its_owner_alone() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let first = find(&MasterKeySource::DataDir, folder.path()).unwrap();
        let mode = std::fs::metadata(folder.path().join(FILE)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert_eq!(find(&MasterKeySource::DataDir, folder.path()).unwrap(), first);
    }

    /// Lost otherwise: a store whose key was moved away would be given a new one, and the old one taken for useless.
    #[test]
    fn a_store_without_its_key_gets_no_new_one() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("control.sqlite"), "x").unwrap();
        assert!(find(&MasterKeySource::DataDir, folder.path()).unwrap_err().contains("bring its key back"));
        assert!(!folder.path().join(FILE).exists());
        let missing = folder.path().join("missing");
        assert!(find(&MasterKeySource::File(missing), folder.path()).unwrap_err().contains("openssl"));
    }
}
