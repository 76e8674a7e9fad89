//! Where artefacts lie: named bytes, each written once.

use crate::error::{JointError, Result};
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::io::{Cursor, Read, Seek, Write};
use std::sync::Mutex;

/// What is read in place.
pub trait Source: Read + Seek + Send {}

impl<T: Read + Seek + Send> Source for T {}

/// What is written to.
pub trait Sink: Write + Seek {}

impl<T: Write + Seek> Sink for T {}

/// A place for named bytes that are written once and never changed: what all owners share, or what one keeps.
pub trait Store {
    /// The bytes of a name, if it is there.
    ///
    /// # Errors
    ///
    /// [`JointError::Store`] if it cannot be read.
    fn get(&self, name: &str) -> Result<Option<Vec<u8>>>;

    /// Writes a name that is not there, whole or not at all. Equal bytes that are there are no error.
    ///
    /// # Errors
    ///
    /// [`JointError::Rewritten`] if there are others; [`JointError::Store`] if it cannot be written.
    fn put(&self, name: &str, bytes: &[u8]) -> Result<()>;

    /// Opens a name for reading, if it is there: for what is too large to be held.
    ///
    /// # Errors
    ///
    /// [`JointError::Store`] if it cannot be read.
    fn open(&self, name: &str) -> Result<Option<Box<dyn Source>>>;

    /// Writes a name that is not there, whole or not at all: not if `write` fails.
    ///
    /// # Errors
    ///
    /// [`JointError::Rewritten`] if it is there; [`JointError::Store`] if it cannot be written; those of `write`.
    fn create(&self, name: &str, write: &mut dyn FnMut(&mut dyn Sink) -> Result<()>) -> Result<()>;
}

/// A store in memory.
#[derive(Debug, Default)]
pub struct MemoryStore {
    names: Mutex<BTreeMap<String, Vec<u8>>>,
}

impl MemoryStore {
    /// Every name, in order.
    pub fn names(&self) -> Vec<String> {
        self.lock().keys().cloned().collect()
    }

    /// Takes a name away, as a relay that loses things.
    pub fn remove(&self, name: &str) -> Option<Vec<u8>> {
        self.lock().remove(name)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<String, Vec<u8>>> {
        self.names.lock().expect("no thread panics while it holds this")
    }
}

impl Store for MemoryStore {
    fn get(&self, name: &str) -> Result<Option<Vec<u8>>> {
        Ok(self.lock().get(name).cloned())
    }

    fn put(&self, name: &str, bytes: &[u8]) -> Result<()> {
        match self.lock().entry(name.to_owned()).or_insert_with(|| bytes.to_vec()) {
            there if *there == bytes => Ok(()),
            _ => Err(JointError::Rewritten(name.to_owned())),
        }
    }

    fn open(&self, name: &str) -> Result<Option<Box<dyn Source>>> {
        Ok(self.get(name)?.map(|bytes| Box::new(Cursor::new(bytes)) as Box<dyn Source>))
    }

    fn create(&self, name: &str, write: &mut dyn FnMut(&mut dyn Sink) -> Result<()>) -> Result<()> {
        let mut sink = Cursor::new(Vec::new());
        write(&mut sink)?;
        match self.lock().entry(name.to_owned()) {
            Entry::Occupied(_) => Err(JointError::Rewritten(name.to_owned())),
            Entry::Vacant(place) => {
                place.insert(sink.into_inner());
                Ok(())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_written_once() {
        let store = MemoryStore::default();
        store.put("a", b"1").unwrap();
        store.put("a", b"1").unwrap();
        assert!(matches!(store.put("a", b"2"), Err(JointError::Rewritten(name)) if name == "a"));
        assert_eq!(store.get("a").unwrap().unwrap(), b"1");
        assert_eq!(store.get("b").unwrap(), None);
    }
}
