//! Where artefacts lie: named bytes, each written once.

use crate::error::{JointError, Result};
use std::collections::BTreeMap;
use std::sync::Mutex;

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
