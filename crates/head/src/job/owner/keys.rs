//! The owner's keys for a plan.

use ciphertune_ckks::files::EvaluationKeyFile;
use ciphertune_ckks::{EntryKey, EntryMask, KeyId, Parameters, SecretKey, files};

use super::super::PLAN;
use crate::{HeadError, Plan, Result};

/// The owner's keys for a plan.
pub struct Keys {
    pub(super) plan: Plan,
    pub(super) parameters: Parameters,
    pub(super) secret: SecretKey,
}

impl Keys {
    /// Draws a secret key for a plan.
    ///
    /// # Errors
    ///
    /// If the operating system's random generator fails.
    pub fn generate(plan: &Plan) -> Result<Self> {
        let parameters = plan.parameters()?;
        let secret = SecretKey::generate(&parameters)?;
        Ok(Self { plan: plan.clone(), parameters, secret })
    }

    /// Reads the secret key of a plan.
    ///
    /// # Errors
    ///
    /// For a file that is damaged, no secret key, or made for another plan's parameters.
    pub fn from_bytes(plan: &Plan, secret_key: &[u8]) -> Result<Self> {
        let parameters = plan.parameters()?;
        let secret = files::secret_key_from_bytes(&parameters, secret_key)?;
        Ok(Self { plan: plan.clone(), parameters, secret })
    }

    /// The plan.
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// The identifier of the secret key.
    pub fn id(&self) -> KeyId {
        self.secret.id()
    }

    /// The secret key as a file; overwritten in memory when dropped.
    ///
    /// # Errors
    ///
    /// Only if the container cannot be written.
    pub fn secret_key_to_bytes(&self) -> Result<impl std::ops::Deref<Target = Vec<u8>> + use<>> {
        Ok(files::secret_key_to_bytes(&self.parameters, &self.secret)?)
    }

    /// A key holder's part of an owner's entry key, for contributions to the plan: of each owner its own, for its eyes only.
    ///
    /// # Errors
    ///
    /// If the random generator fails.
    pub fn entry_mask(&self) -> Result<EntryMask> {
        Ok(EntryMask::generate(&self.parameters, &self.secret, self.plan.entry_level())?)
    }

    /// Makes the entry key of these keys from the holder's mask, for the server alone.
    ///
    /// # Errors
    ///
    /// [`HeadError::Mismatch`] for the mask of another plan; if the random generator fails.
    pub fn entry_key(&self, mask: EntryMask) -> Result<EntryKey> {
        if mask.level() != self.plan.entry_level() {
            return Err(HeadError::Mismatch("the mask of the entry key was made for another plan".into()));
        }
        Ok(mask.complete(&self.parameters, &self.secret)?)
    }

    /// Makes the evaluation keys that the plan's training needs and writes them as a file for the server.
    ///
    /// # Errors
    ///
    /// If the random generator or `out` fails.
    pub fn write_evaluation_keys(&self, out: &mut impl std::io::Write) -> Result<()> {
        let needed = &self.plan.estimate()?.operations.keys;
        let keys = EvaluationKeyFile::generate(&self.parameters, &self.secret, needed)?;
        Ok(keys.write(&[(PLAN, self.plan.to_json())], out)?)
    }
}
