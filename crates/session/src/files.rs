//! Files: read with errors that name them, written whole or not at all.
//!
//! Everything is written under a temporary name in the folder where it will stand, brought to the disk, and renamed.
//! Nothing that exists is replaced unless the user says so, and never what this program would not have written. What a
//! killed command left behind is removed by the next that writes into the same folder (`files/temporary.rs`).

mod companion;
mod folder;
pub mod interrupt;
mod sweep;
mod temporary;

use std::fs::{self, File, Permissions};
use std::io::{self, BufWriter, Cursor, ErrorKind, Read, Seek, Write};
use std::path::{Path, PathBuf};

use ciphertune_head::table::Part;
use ciphertune_head::{FeatureTable, Head, LabelColumn, TableFormat};
use tempfile::{Builder, NamedTempFile};
use zeroize::Zeroizing;

use crate::error::{Error, InFile, Result};
pub use companion::{Companion, claim};
pub use folder::{Filling, NewFolder};
use interrupt::RemovedOnSignal;
pub use sweep::settle_all;

/// A file's content, with its name for messages.
pub struct Document {
    /// Where it was read; for documents that never were in a file, what they would be called.
    pub path: PathBuf,
    /// The content.
    pub bytes: Vec<u8>,
}

impl Document {
    /// Reads a file.
    pub fn read(path: &Path) -> Result<Self> {
        Ok(Self { path: path.to_owned(), bytes: read(path)? })
    }
}

/// What the server reads a few rows at a time: a file where it lies, or a document in memory.
pub struct Source {
    /// Its name for messages.
    pub path: PathBuf,
    /// The content.
    pub content: Box<dyn ReadSeek>,
}

/// A file, or what can be read like one.
pub trait ReadSeek: Read + Seek + Send {}

impl<T: Read + Seek + Send> ReadSeek for T {}

/// A file, or what can be written like one.
pub trait WriteSeek: Write + Seek {}

impl<T: Write + Seek> WriteSeek for T {}

impl Source {
    /// Opens a file. What is no ordinary file, a pipe for example, is read whole.
    pub fn open(path: &Path) -> Result<Self> {
        let mut file = open(path)?;
        let ordinary = file.metadata().map_err(|error| cannot_read(path, &error))?.is_file();
        if ordinary {
            return Ok(Self { path: path.to_owned(), content: Box::new(file) });
        }
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes).map_err(|error| cannot_read(path, &error))?;
        Ok(Document { path: path.to_owned(), bytes }.into())
    }
}

impl Source {
    /// What `write` writes, in memory or in a file without a name, which goes with this process however that ends.
    /// `name` is for messages.
    pub fn written<T>(
        name: &str,
        in_memory: bool,
        write: impl FnOnce(&mut dyn WriteSeek) -> Result<T>,
    ) -> Result<(Self, T)> {
        let path = PathBuf::from(name);
        if in_memory {
            let mut out = Cursor::new(Vec::new());
            let made = write(&mut out)?;
            return Ok((Document { path, bytes: out.into_inner() }.into(), made));
        }
        let folder = std::env::temp_dir();
        let named = PathBuf::from(format!("{} (TMPDIR names another folder)", folder.display()));
        let mut out = BufWriter::new(tempfile::tempfile_in(&folder).map_err(|error| cannot_write(&named, &error))?);
        let full = |error: Error| if error.is_full_disk() { Error::full_disk().in_file(&named) } else { error };
        let made = write(&mut out).map_err(full)?;
        let file = out.into_inner().map_err(|error| cannot_write(&named, error.error()))?;
        Ok((Self { path, content: Box::new(file) }, made))
    }
}

impl From<Document> for Source {
    fn from(document: Document) -> Self {
        Self { path: document.path, content: Box::new(Cursor::new(document.bytes)) }
    }
}

/// Who may read a file.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Privacy {
    /// Whoever the user's umask lets.
    Public,
    /// The user alone, from the file's creation on.
    Private,
}

/// Reads a whole file.
pub fn read(path: &Path) -> Result<Vec<u8>> {
    fs::read(path).map_err(|error| cannot_read(path, &error))
}

/// Reads a secret: overwritten in memory when dropped.
pub fn read_secret(path: &Path) -> Result<Zeroizing<Vec<u8>>> {
    read(path).map(Zeroizing::new)
}

/// Opens a file.
pub fn open(path: &Path) -> Result<File> {
    let file = File::open(path).map_err(|error| cannot_read(path, &error))?;
    // A folder can be opened, but not read.
    match file.metadata() {
        Ok(metadata) if metadata.is_dir() => Err(cannot_read(path, &ErrorKind::IsADirectory.into())),
        Ok(_) => Ok(file),
        Err(error) => Err(cannot_read(path, &error)),
    }
}

fn cannot_read(path: &Path, error: &io::Error) -> Error {
    let reason = match error.kind() {
        ErrorKind::NotFound => "there is no such file: check the name".to_owned(),
        ErrorKind::PermissionDenied => "permission to read it is denied: change the file's mode or owner".to_owned(),
        ErrorKind::IsADirectory => "this is a folder, a file is expected: name a file in it".to_owned(),
        _ => format!("cannot be read: {error}"),
    };
    Error::input(reason).in_file(path)
}

/// The format of a feature table, by its file's extension.
pub fn table_format(path: &Path) -> Result<TableFormat> {
    let extension = path.extension().and_then(|extension| extension.to_str()).unwrap_or("");
    if extension.is_empty() {
        let message = "a feature table's name ends in .csv, .tsv, .txt, .npz or .safetensors: rename the file";
        return Err(Error::input(message).in_file(path));
    }
    TableFormat::from_extension(extension).in_file(path)
}

/// Reads a feature table in the format of its extension, or one part of it.
pub fn read_table(path: &Path, labels: LabelColumn, part: &Part) -> Result<FeatureTable> {
    if path.is_dir() {
        let message = "this is a folder, a feature table is a file: give images with --images and --backbone";
        return Err(Error::input(message).in_file(path));
    }
    let format = table_format(path)?;
    FeatureTable::parse_part(&read(path)?, format, labels, part).in_file(path)
}

/// Reads a head, and says who may read what is derived from it: a private head's scores and predictions are private as
/// well.
pub fn read_head(path: &Path) -> Result<(Head, Privacy)> {
    let head = Head::from_bytes(&read(path)?).in_file(path)?;
    let privacy = if head.published().is_some() { Privacy::Public } else { Privacy::Private };
    Ok((head, privacy))
}

/// A file that is to be written, checked before the work begins.
pub struct NewFile {
    path: PathBuf,
    privacy: Privacy,
    force: bool,
}

impl NewFile {
    /// Checks that the file can be written: it does not exist (or `force`), and its folder takes files. Removes what
    /// killed commands left beside it.
    pub fn plan(path: &Path, privacy: Privacy, force: bool) -> Result<Self> {
        let (parent, _) = place(path)?;
        sweep::sweep(&parent);
        match fs::symlink_metadata(path) {
            Ok(metadata) if metadata.is_dir() => {
                return Err(Error::input("this is a folder: name a file to write").in_file(path));
            }
            Ok(metadata) if !metadata.is_file() => {
                return Err(Error::input("this is no ordinary file: name a file to write").in_file(path));
            }
            Ok(_) if !force => {
                return Err(Error::input("the file exists: name another, or replace it with --force").in_file(path));
            }
            _ => {}
        }
        let file = Self { path: path.to_owned(), privacy, force };
        // Fails now, not after the work.
        file.temporary()?;
        Ok(file)
    }

    /// Writes the file.
    pub fn write(&self, bytes: &[u8]) -> Result<()> {
        self.write_with(|out| out.write_all(bytes).map_err(|error| cannot_write(&self.path, &error)))
    }

    /// Writes the file piece by piece.
    pub fn write_with<T>(&self, write: impl FnOnce(&mut dyn WriteSeek) -> Result<T>) -> Result<T> {
        let mut temporary = self.temporary()?;
        let _removed = RemovedOnSignal::new(temporary.path());
        let mut out = BufWriter::new(temporary.as_file_mut());
        let made = write(&mut out)?;
        let written = out.into_inner().map_err(io::IntoInnerError::into_error).and_then(|file| file.sync_all());
        written.map_err(|error| cannot_write(&self.path, &error))?;
        let persisted =
            if self.force { temporary.persist(&self.path) } else { temporary.persist_noclobber(&self.path) };
        persisted.map_err(|error| cannot_write(&self.path, &error.error))?;
        sync_folder(&self.path);
        Ok(made)
    }

    fn temporary(&self) -> Result<NamedTempFile> {
        let (parent, name) = place(&self.path)?;
        temporary::file(&parent, &name, self.privacy).map_err(|error| cannot_write(&self.path, &error))
    }
}

/// Writes a file within a folder that is not in its place yet, where it will be called `shown`.
fn write_new<T>(
    path: &Path,
    shown: &Path,
    privacy: Privacy,
    write: impl FnOnce(&mut BufWriter<File>) -> Result<T>,
) -> Result<T> {
    let mut options = fs::OpenOptions::new();
    options.write(true).create_new(true);
    if privacy == Privacy::Private {
        restrict(&mut options);
    }
    let file = options.open(path).map_err(|error| cannot_write(shown, &error))?;
    let mut out = BufWriter::new(file);
    let made = write(&mut out)?;
    let finish = out.into_inner().map_err(io::IntoInnerError::into_error).and_then(|file| file.sync_all());
    finish.map_err(|error| cannot_write(shown, &error))?;
    Ok(made)
}

/// The folder in which a path stands, and its last name.
fn place(path: &Path) -> Result<(PathBuf, String)> {
    let name = path.file_name().ok_or_else(|| Error::input("this names no file or folder").in_file(path))?;
    let parent = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent.to_owned(),
        _ => PathBuf::from("."),
    };
    let shown = parent.display();
    match fs::metadata(&parent) {
        Ok(metadata) if metadata.is_dir() => {}
        Err(error) if error.kind() == ErrorKind::PermissionDenied => return Err(cannot_write(path, &error)),
        Err(error) if error.kind() == ErrorKind::InvalidFilename => return Err(cannot_write(path, &error)),
        Ok(_) => {
            let message = format!("{shown} is a file, no folder: name a folder that exists, or create another");
            return Err(Error::input(message).in_file(path));
        }
        Err(_) => {
            let message = format!("the folder {shown} does not exist: create it first");
            return Err(Error::input(message).in_file(path));
        }
    }
    if name.len() > temporary::LONGEST_NAME {
        return Err(cannot_write(path, &ErrorKind::InvalidFilename.into()));
    }
    Ok((parent, name.to_string_lossy().into_owned()))
}

/// What to say of a file that cannot be written.
pub fn cannot_write(path: &Path, error: &io::Error) -> Error {
    match error.kind() {
        ErrorKind::AlreadyExists => Error::input("it exists: name another, or replace it with --force"),
        ErrorKind::PermissionDenied => {
            Error::failure("permission to write here is denied: name another place, or change the folder's mode")
        }
        ErrorKind::StorageFull => Error::full_disk(),
        ErrorKind::QuotaExceeded => Error::failure("your quota is used up: free some space, or name another place"),
        ErrorKind::FileTooLarge => {
            Error::failure("the file would be larger than the system allows: name another place, or raise its limit")
        }
        ErrorKind::ReadOnlyFilesystem => Error::failure("the file system is read-only: name another place"),
        ErrorKind::InvalidFilename => {
            Error::input(format!("the name is too long: one of up to {} bytes will do", temporary::LONGEST_NAME))
        }
        _ => Error::failure(format!("cannot be written: {}", cause(error))),
    }
    .in_file(path)
}

/// An error without the temporary name that was put beside it: the user knows the file by its own.
fn cause(error: &io::Error) -> String {
    use std::error::Error as _;
    error.source().map_or_else(|| error.to_string(), ToString::to_string)
}

/// Puts a folder back that is missing because a command was killed as it replaced it.
pub fn put_back(path: &Path) {
    if let Ok((parent, _)) = place(path) {
        sweep::sweep(&parent);
    }
}

/// The numbers of the files PREFIX-NUMBER-SUFFIX in a folder, in their order; none if there is no such folder.
pub(crate) fn numbered(folder: &Path, prefix: &str, suffix: &str) -> Result<Vec<usize>> {
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        outcome => outcome.map_err(|error| cannot_read(folder, &error))?,
    };
    let number = |name: &str| name.strip_prefix(prefix)?.strip_suffix(suffix)?.parse().ok();
    let names = entries.flatten().map(|entry| entry.file_name());
    let mut numbers: Vec<usize> = names.filter_map(|name| number(name.to_str()?)).collect();
    numbers.sort_unstable();
    Ok(numbers)
}

/// Brings a rename to the disk; file systems that cannot do that lose nothing but this.
fn sync_folder(path: &Path) {
    if let Ok((parent, _)) = place(path) {
        let _ = File::open(parent).and_then(|folder| folder.sync_all());
    }
}

#[cfg(unix)]
fn permit(builder: &mut Builder<'_, '_>, privacy: Privacy, folder: bool) {
    use std::os::unix::fs::PermissionsExt;
    let everyone = if folder { 0o777 } else { 0o666 };
    let mode = if privacy == Privacy::Private { everyone & 0o700 } else { everyone };
    builder.permissions(Permissions::from_mode(mode));
}

/// Makes a folder within one that nobody else can enter.
#[cfg(unix)]
pub(crate) fn make_folder(path: &Path, privacy: Privacy) -> io::Result<()> {
    use std::os::unix::fs::DirBuilderExt;
    let mode = if privacy == Privacy::Private { 0o700 } else { 0o777 };
    fs::DirBuilder::new().mode(mode).create(path)
}

#[cfg(not(unix))]
pub(crate) fn make_folder(path: &Path, _: Privacy) -> io::Result<()> {
    fs::create_dir(path)
}

#[cfg(not(unix))]
fn permit(_: &mut Builder<'_, '_>, _: Privacy, _: bool) {}

#[cfg(unix)]
fn restrict(options: &mut fs::OpenOptions) {
    use std::os::unix::fs::OpenOptionsExt;
    options.mode(0o600);
}

#[cfg(not(unix))]
fn restrict(_: &mut fs::OpenOptions) {}
