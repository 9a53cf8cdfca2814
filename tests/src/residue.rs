//! What does the data folder give away without a key?

use std::fs;
use std::path::{Path, PathBuf};

/// Every file and folder under a folder, itself not counted.
pub fn everything_under(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut open = vec![folder.to_owned()];
    while let Some(next) = open.pop() {
        for entry in fs::read_dir(&next).expect("the folder can be read") {
            let path = entry.expect("the folder can be read").path();
            if path.is_dir() {
                open.push(path.clone());
            }
            found.push(path);
        }
    }
    found.sort();
    found
}

/// Files that hold any of these words in clear, with the word.
pub fn files_with(folder: &Path, words: &[&str]) -> Vec<(PathBuf, String)> {
    let wanted: Vec<_> = words.iter().map(|word| ((*word).to_owned(), word.as_bytes().to_vec())).collect();
    files_with_bytes(folder, &wanted)
}

/// Files that hold any of these byte strings, with what it was called.
pub fn files_with_bytes(folder: &Path, wanted: &[(String, Vec<u8>)]) -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    for path in everything_under(folder).into_iter().filter(|p| p.is_file()) {
        let bytes = fs::read(&path).expect("the file can be read");
        for (name, wanted) in wanted {
            if bytes.windows(wanted.len()).any(|w| w == wanted) {
                found.push((path.clone(), name.clone()));
            }
        }
    }
    found
}

/// Names under a folder that derive from any of these words: in clear, as hexadecimal, percent-encoded or not.
pub fn names_with(folder: &Path, words: &[&str]) -> Vec<PathBuf> {
    let hex = |word: &&str| word.bytes().map(|b| format!("{b:02x}")).collect::<String>();
    let forms: Vec<String> = words.iter().map(|w| w.to_lowercase()).chain(words.iter().map(hex)).collect();
    let named = |path: &PathBuf| {
        let inside = path.strip_prefix(folder).unwrap_or(path).to_string_lossy().to_lowercase();
        forms.iter().any(|form| inside.contains(form.as_str())) || !inside.is_ascii() || inside.contains('%')
    };
    everything_under(folder).into_iter().filter(named).collect()
}

#[cfg(test)]
mod tests {
    use super::{files_with, names_with};
    use crate::server::Folder;

    // If this looked away, a tenant's name could stand in clear on the disk and every suite would be green.
    #[test]
    fn words_in_files_and_names_are_found() {
        let folder = Folder::new();
        std::fs::write(folder.around().join("zq"), "a secret b").expect("a file can be written");
        assert_eq!(files_with(folder.around(), &["secret"]).len(), 1);
        assert_eq!(files_with(folder.around(), &["other"]).len(), 0);
        assert_eq!(names_with(folder.around(), &["ZQ"]).len(), 1);
        std::fs::write(folder.around().join("7a71.seg"), "").expect("a file can be written");
        assert_eq!(names_with(folder.around(), &["zq"]).len(), 2);
        assert_eq!(names_with(folder.around(), &["yy"]).len(), 0);
    }
}
