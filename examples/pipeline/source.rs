//! Where the text comes from: the files of a tree, cut into pieces of whole lines.

use std::fs::{self, File, ReadDir};
use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};

use crate::failure::{Failure, cannot};
use crate::words;

/// The files of a folder and all its folders, or one file. Symbolic links in it are not followed,
/// what is neither file nor folder is left out.
pub struct Files {
    /// Not looked at yet.
    folders: Vec<PathBuf>,
    entries: Option<(PathBuf, ReadDir)>,
    alone: Option<PathBuf>,
}

impl Files {
    pub fn of(path: &Path) -> Result<Files, Failure> {
        let kind = fs::metadata(path).map_err(cannot(format!("read {}", path.display())))?;
        let (mut folders, mut alone) = (Vec::new(), None);
        if kind.is_dir() {
            folders.push(path.to_owned());
        } else if kind.is_file() {
            alone = Some(path.to_owned());
        } else {
            let sentence = format!("{} is neither a file nor a folder", path.display());
            return Err(Failure::Sentence(sentence));
        }
        Ok(Files { folders, entries: None, alone })
    }

    fn find(&mut self) -> Result<Option<PathBuf>, Failure> {
        loop {
            let Some((folder, entries)) = &mut self.entries else {
                let Some(folder) = self.folders.pop() else { return Ok(self.alone.take()) };
                let unreadable = cannot(format!("read the folder {}", folder.display()));
                let entries = fs::read_dir(&folder).map_err(unreadable)?;
                self.entries = Some((folder, entries));
                continue;
            };
            let unreadable = |e| cannot(format!("read the folder {}", folder.display()))(e);
            let Some(entry) = entries.next() else {
                self.entries = None;
                continue;
            };
            let entry = entry.map_err(unreadable)?;
            let kind = entry.file_type().map_err(unreadable)?;
            if kind.is_dir() {
                self.folders.push(entry.path());
            } else if kind.is_file() {
                return Ok(Some(entry.path()));
            }
        }
    }
}

impl Iterator for Files {
    type Item = Result<PathBuf, Failure>;

    fn next(&mut self) -> Option<Self::Item> {
        self.find().transpose()
    }
}

/// One piece of text.
pub struct Piece {
    pub len: usize,
    /// Its first line began in the piece before.
    pub continued: bool,
    /// Newlines in it that no file has.
    pub added: u32,
}

/// The text of a tree, piece by piece.
pub struct Source {
    files: Files,
    open: Option<(PathBuf, File)>,
    /// Read, but behind the last line that was whole.
    carry: Vec<u8>,
    /// The last piece ended within a line.
    within_line: bool,
}

impl Source {
    pub fn of(path: &Path) -> Result<Source, Failure> {
        let files = Files::of(path)?;
        Ok(Source { files, open: None, carry: Vec::new(), within_line: false })
    }

    /// Reads the next piece straight into `room`, which has at least [`words::LONGEST`] bytes.
    /// `None`: there is no more.
    pub fn fill(&mut self, room: &mut [u8]) -> Result<Option<Piece>, Failure> {
        let mut continued = std::mem::take(&mut self.within_line);
        let mut added = 0;
        let mut len = self.carry.len();
        room[..len].copy_from_slice(&self.carry);
        self.carry.clear();
        while len < room.len() {
            let Some((path, file)) = &mut self.open else {
                match self.files.next().transpose()? {
                    None => break,
                    Some(path) => {
                        let file = File::open(&path)
                            .map_err(cannot(format!("open {}", path.display())))?;
                        self.open = Some((path, file));
                        continue;
                    }
                }
            };
            match file.read(&mut room[len..]) {
                Ok(0) => {
                    self.open = None;
                    // The next file's first line is a line of its own.
                    match room[..len].last() {
                        None => continued = false,
                        Some(b'\n') => {}
                        Some(_) => {
                            room[len] = b'\n';
                            len += 1;
                            added += 1;
                        }
                    }
                }
                Ok(n) => len += n,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(cannot(format!("read {}", path.display()))(error)),
            }
        }
        if len == room.len() {
            len = self.cut(room);
        }
        Ok((len != 0).then_some(Piece { len, continued, added }))
    }

    /// Cuts a full room behind its last whole line, or within the line that fills it.
    fn cut(&mut self, room: &[u8]) -> usize {
        let last = room.iter().rposition(|byte| *byte == b'\n');
        self.within_line = last.is_none();
        let len = last.map_or_else(|| words::cut(room), |last| last + 1);
        self.carry.extend_from_slice(&room[len..]);
        len
    }
}
