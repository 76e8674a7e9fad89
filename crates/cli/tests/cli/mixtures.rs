//! Files that are whole but do not belong together.

use crate::support::{Scratch, table};

#[test]
fn what_does_not_belong_together_is_refused_with_the_name_of_the_file() {
    let scratch = Scratch::with_artefacts();
    // Other keys of the same plan.
    scratch.succeeds("keygen --train table.csv --iterations 1 --out TWIN");
    scratch.fails(
        2,
        "train --job JOB --eval-keys TWIN/evaluation.keys --out m",
        &["TWIN/evaluation.keys", "another secret key", "send the keys"],
    );
    scratch.fails(2, "decrypt --model model.enc --keys TWIN --out h", &["model.enc", "under key", "TWIN"]);
    copy_jobs(&scratch, "KEYS", "TWIN");
    scratch.fails(2, "decrypt --model model.enc --keys TWIN --out h", &["model.enc", "under key", "use the keys"]);

    // Keys of another plan.
    scratch.succeeds("keygen --train table.csv --iterations 2 --out OTHER");
    scratch.fails(
        2,
        "train --job JOB --eval-keys OTHER/evaluation.keys --out m",
        &["OTHER/evaluation.keys", "another plan", "send the keys"],
    );
    copy_jobs(&scratch, "KEYS", "OTHER");
    scratch.fails(2, "decrypt --model model.enc --keys OTHER --out h", &["model.enc", "key"]);
    scratch.write("secret.kept", scratch.read("KEYS/secret.key"));
    scratch.write("KEYS/secret.key", scratch.read("OTHER/secret.key"));
    scratch.fails(2, "encrypt --train table.csv --keys KEYS --out J", &["KEYS/secret.key", "parameters"]);
    scratch.write("KEYS/secret.key", scratch.read("secret.kept"));

    // A table of another shape than the keys'.
    scratch.write("longer.csv", table(61, 6, 3, 9));
    let parts = ["longer.csv", "60 rows x 6 features", "61 x 6", "keygen"];
    scratch.fails(2, "encrypt --train longer.csv --keys KEYS --out J", &parts);
    scratch.succeeds("encrypt --train longer.csv --rows 60 --keys KEYS --out J");

    // A file of another kind.
    scratch.fails(2, "decrypt --model head.safetensors --keys KEYS --out h", &["head.safetensors", "encrypted-model"]);
    scratch.fails(2, "evaluate --head model.enc --test test.csv", &["model.enc", "head"]);
    scratch.fails(2, "train --job model.enc --eval-keys KEYS/evaluation.keys --out m", &["model.enc", "job"]);
    scratch.fails(2, "train --job JOB --eval-keys KEYS/secret.key --out m", &["KEYS/secret.key", "evaluation-keys"]);
    scratch.fails(2, "train --job KEYS --eval-keys KEYS/evaluation.keys --out m", &["KEYS", "job.safetensors"]);
    scratch.fails(2, "train --job JOB --eval-keys KEYS --out m", &["KEYS", "folder"]);
    scratch.fails(2, "decrypt --model model.enc --keys NOWHERE --out h", &["NOWHERE", "keygen"]);
    scratch.fails(2, "inspect table.csv", &["table.csv", "not a Ciphertune file"]);

    // A training that needs more memory than the server has.
    let command = "train --job JOB --eval-keys KEYS/evaluation.keys --out m --memory 10M";
    scratch.fails(2, command, &["JOB/job.safetensors", "10 M", "--memory"]);

    // Rows of another backbone.
    scratch.write("narrow.csv", table(9, 4, 3, 9));
    scratch.fails(2, "predict --head head.safetensors --features narrow.csv", &["narrow.csv"]);
    scratch.fails(2, "evaluate --head head.safetensors --test narrow.csv", &["narrow.csv", "4 features", "6"]);
    scratch.write("unseen.csv", "9,1,2,3,4,5,6\n");
    scratch.fails(2, "evaluate --head head.safetensors --test unseen.csv", &["unseen.csv", "\"9\"", "never saw"]);
}

fn copy_jobs(scratch: &Scratch, from: &str, to: &str) {
    for name in scratch.listing().iter().filter(|name| name.starts_with(&format!("{from}/jobs/"))) {
        let target = format!("{to}{}", &name[from.len()..]);
        match scratch.path(name).is_dir() {
            true => std::fs::create_dir(scratch.path(&target)).unwrap(),
            false => scratch.write(&target, scratch.read(name)),
        }
    }
}
