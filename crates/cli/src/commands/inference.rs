//! Encrypted inference, the client's side: what `keygen`, `encrypt` and `decrypt` do when they are asked for it. The
//! server's command is `infer`.

pub mod decrypt;
pub mod encrypt;
pub mod keygen;

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use clap::{Args, Command};

    use crate::commands::{decrypt, encrypt, keygen};

    /// The flags of a command that one of them does not go with, and those that it goes with.
    fn apart<A: Args>(flag: &str) -> (BTreeSet<String>, BTreeSet<String>) {
        let mut command = A::augment_args(Command::new("test"));
        command.build();
        let arg = command.get_arguments().find(|arg| arg.get_id() == flag).expect("the flag is there").clone();
        let id = |arg: &clap::Arg| arg.get_id().to_string();
        let conflicts: BTreeSet<String> = command.get_arg_conflicts_with(&arg).into_iter().map(id).collect();
        let all: BTreeSet<String> = command.get_arguments().map(id).collect();
        let with = all.difference(&conflicts).filter(|id| !["help", flag].contains(&id.as_str())).cloned().collect();
        (conflicts, with)
    }

    fn names(list: &str) -> BTreeSet<String> {
        list.split(' ').map(str::to_owned).collect()
    }

    #[test]
    fn flags_of_training_are_refused_for_inference_so_that_none_is_silently_ignored() {
        let (conflicts, with) = apart::<keygen::Keygen>("for_inference");
        assert_eq!(with, names("classes encrypted_head features force head out"));
        assert!(conflicts.contains("iterations") && conflicts.contains("backbone"));

        let (conflicts, with) = apart::<encrypt::Encrypt>("for_inference");
        assert!(conflicts.contains("train") && conflicts.contains("scaler_file"));
        assert!(with.is_superset(&names("features head images keys label out rows")), "{with:?}");
        let (_, with) = apart::<encrypt::Encrypt>("head");
        // Rows are in one group with it.
        let with: BTreeSet<String> = with.difference(&conflicts).cloned().collect();
        assert_eq!(with, names("features for_inference force images keys out"));

        let (_, with) = apart::<decrypt::Decrypt>("logits");
        assert_eq!(with, names("force keys out scores"));
    }
}
