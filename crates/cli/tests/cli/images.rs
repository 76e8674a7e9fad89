//! Images wherever a feature table is taken.

use serde_json::Value;

use crate::pictures::{CLASSES, animation, class_folder, drawing, idx, png_header};
use crate::support::Scratch;

/// What a run found, without times and memory.
fn found(report: &Value) -> Vec<&Value> {
    let fields = ["right", "right_plaintext", "rows", "features", "classes", "test_rows", "sle_plaintext"];
    fields.iter().map(|field| &report[field]).collect()
}

#[test]
fn images_train_as_the_table_that_extract_writes_of_them() {
    let scratch = Scratch::new();
    class_folder(&scratch, "train", 20, 0);
    class_folder(&scratch, "test", 10, 50);
    for part in ["train", "test"] {
        let out = scratch.succeeds(&format!("extract --images {part} --backbone builtin --out {part}.safetensors"));
        assert!(out.contains("images in") && out.contains("3 classes") && out.contains("builtin"), "{out}");
    }
    let tables = scratch.json("run --train train.safetensors --test test.safetensors --iterations 1 --json");
    let images = scratch.json("run --images train --test-images test --backbone builtin --iterations 1 --json");
    assert_eq!(found(&images), found(&tables));
    assert_eq!(images["class_names"], serde_json::json!(CLASSES));
    assert!(images["accuracy"].as_f64().unwrap() > 0.9, "{images}");
    assert!(images["seconds"]["extract"].as_f64().unwrap() > 0.0 && tables["seconds"]["extract"] == 0.0);
    assert_eq!(images["provenance"]["backbone"], "builtin");
    let text = scratch.succeeds("inspect train.safetensors");
    assert!(text.contains("feature table") && text.contains("builtin") && text.contains("bars, dots, ring"), "{text}");
    // The same features, the labels as words.
    scratch.succeeds("extract --images train --backbone builtin --out train.csv");
    let text = String::from_utf8(scratch.read("train.csv")).unwrap();
    assert!(text.starts_with("bars,") && text.lines().count() == 60);
    let csv = scratch.json("run --train train.csv --test test.safetensors --iterations 1 --json");
    assert_eq!(found(&csv)[..6], found(&tables)[..6]);
    scratch.succeeds("extract --images train --backbone builtin --out train.npz");
    let npz = scratch.json("run --train train.npz --test test.safetensors --iterations 1 --json");
    assert_eq!((found(&npz), &npz["class_names"]), (found(&tables), &images["class_names"]));
    scratch.fails(2, "extract --images train --backbone builtin --out train.parquet", &["train.parquet", ".npz"]);
    scratch.fails(2, "run --train train --holdout 0.2", &["train", "folder", "--images"]);
}

#[test]
fn the_roles_work_on_images_and_a_head_knows_its_backbone() {
    let scratch = Scratch::new();
    class_folder(&scratch, "train", 15, 0);
    class_folder(&scratch, "new", 2, 70);
    let images = "--images train --backbone builtin";
    let plan = scratch.json(&format!("plan {images} --iterations 1 --json"));
    assert_eq!((&plan["rows"], &plan["classes"]), (&45.into(), &3.into()), "{plan}");
    scratch.succeeds(&format!("keygen {images} --iterations 1 --out KEYS"));
    scratch.succeeds("scaler fit --images train --backbone builtin --out shared.safetensors");
    scratch.succeeds(&format!("encrypt {images} --keys KEYS --scaler-file shared.safetensors --out JOB"));
    scratch.succeeds("train --job JOB --eval-keys KEYS/evaluation.keys --out model.enc");
    scratch.succeeds("decrypt --model model.enc --keys KEYS --out head.safetensors");

    // The head says which backbone, so that it need not be named again.
    let scores = scratch.json("evaluate --head head.safetensors --images new --json");
    assert_eq!(scores["rows"], 6);
    let csv = scratch.succeeds("predict --head head.safetensors --images new");
    let mut lines = csv.lines();
    assert_eq!(lines.next(), Some("file,label,p(bars),p(dots),p(ring)"));
    assert!(lines.next().unwrap().starts_with("new/bars/070.png,"), "{csv}");
    assert_eq!(csv.lines().count(), 7);
    let json = scratch.json("predict --head head.safetensors --images new/ring/071.png --format json");
    assert_eq!(json[0]["file"], "new/ring/071.png");
    assert!(json[0].get("row").is_none());

    let other = "predict --head head.safetensors --images new --preprocess torchvision";
    scratch.fails(2, &format!("{other} --shorter-side 64"), &["preprocessed otherwise", "head"]);
    scratch.succeeds("extract --images new --backbone builtin --channels bgr --out other.safetensors");
    scratch.fails(2, "evaluate --head head.safetensors --test other.safetensors", &["other.safetensors", "head"]);
    scratch.fails(2, "predict --head head.safetensors --features other.safetensors", &["other.safetensors", "head"]);
    let pair = "run --images train --backbone builtin --test other.safetensors";
    scratch.fails(2, pair, &["other.safetensors", "training table"]);
}

#[test]
fn idx_images_take_their_labels_from_a_second_file() {
    let scratch = Scratch::new();
    idx(&scratch, "train", 60);
    idx(&scratch, "test", 30);
    let run = "run --backbone builtin --iterations 1 --json --images train-images";
    scratch.fails(2, &format!("{run} --holdout 0.2"), &["train-images", "no labels", "--labels"]);
    let test = "--test-images test-images";
    scratch.fails(2, &format!("{run} --labels train-labels {test}"), &["test-images", "no labels"]);
    scratch.fails(2, &format!("{run} --labels test-labels --holdout 0.2"), &["test-labels", "30 labels for 60 images"]);
    let report = scratch.json(&format!("{run} --labels train-labels --rows 45 {test} --test-labels test-labels"));
    assert_eq!((&report["rows"], &report["test_rows"]), (&45.into(), &30.into()));
    scratch.fails(
        2,
        &format!("{run} --labels train-labels --rows 61 --holdout 0.2"),
        &["60 readable images", "--rows"],
    );
    scratch.fails(2, &format!("{run} --labels train-labels --rows 0 --holdout 0.2"), &["--rows 0"]);
    scratch.fails(2, "extract --images train-labels --backbone builtin --out t.csv", &["train-labels", "idx"]);
}

#[test]
fn an_unreadable_image_stops_every_command_by_name_unless_it_is_to_be_left_out() {
    let scratch = Scratch::new();
    class_folder(&scratch, "set", 8, 0);
    let whole = drawing(0, 1).to_png();
    let cases: [(&str, Vec<u8>, &str); 4] = [
        ("zero.png", Vec::new(), "empty"),
        ("text.png", b"hello".to_vec(), "not a PNG"),
        ("cut.png", whole[..whole.len() / 2].to_vec(), "damaged or cut short"),
        ("huge.png", png_header(30_000, 30_000), "too large"),
    ];
    let flags = "--images set --backbone builtin";
    for (name, content, reason) in &cases {
        scratch.write(&format!("set/dots/{name}"), content);
        let parts = [*name, *reason, "--skip-bad"];
        scratch.fails(2, &format!("extract {flags} --out t.safetensors"), &parts);
        scratch.fails(2, &format!("run {flags} --holdout 0.25 --iterations 1"), &parts);
        scratch.fails(2, &format!("keygen {flags} --out KEYS"), &parts);
        let (out, warnings) = scratch.both(&format!("extract {flags} --skip-bad --out t.safetensors --force"));
        assert!(out.contains("24 images") && out.contains("left out"), "{out}");
        assert!(warnings.contains(name) && warnings.contains(reason), "{warnings}");
        std::fs::remove_file(scratch.path(&format!("set/dots/{name}"))).unwrap();
        std::fs::remove_file(scratch.path("t.safetensors")).unwrap();
    }
    scratch.write("set/dots/a.png", b"");
    let plan = scratch.json(&format!("plan {flags} --skip-bad --iterations 1 --json"));
    assert_eq!(plan["rows"], 24);
    scratch.make("bad");
    scratch.write("bad/only.png", b"");
    let only = "extract --images bad --backbone builtin --skip-bad --out t.csv";
    scratch.fails(2, only, &["bad", "no readable image"]);
}

#[test]
fn the_content_counts_not_the_name_and_of_an_animation_the_first_frame() {
    let scratch = Scratch::new();
    scratch.make("a");
    scratch.make("b");
    let mut jpeg = std::io::Cursor::new(Vec::new());
    let grey = image::DynamicImage::ImageLuma8(image::GrayImage::from_pixel(12, 12, image::Luma([90])));
    grey.write_to(&mut jpeg, image::ImageFormat::Jpeg).unwrap();
    for folder in ["a", "b"] {
        scratch.write(&format!("{folder}/1.png"), jpeg.get_ref());
    }
    scratch.write("a/2.png", animation());
    let black = ciphertune_backbone::Picture::new(1, 1, 1, vec![0]).unwrap();
    scratch.write("b/2.png", black.to_png());
    for folder in ["a", "b"] {
        scratch.succeeds(&format!("extract --images {folder} --backbone builtin --out {folder}.csv"));
    }
    assert_eq!(scratch.read("a.csv"), scratch.read("b.csv"));
}

#[test]
fn a_second_extraction_comes_from_the_cache_which_can_be_shown_and_cleared() {
    let scratch = Scratch::new();
    class_folder(&scratch, "set", 4, 0);
    let extract =
        |more: &str| scratch.succeeds(&format!("extract --images set --backbone builtin --out t.csv --force {more}"));
    assert!(scratch.succeeds("cache").contains("nothing is kept"));
    assert!(!extract("--no-cache").contains("from the cache") && scratch.succeeds("cache").contains("nothing"));
    assert!(!extract("").contains("from the cache"));
    let first = scratch.read("t.csv");
    assert!(extract("").contains("from the cache  12 images"));
    assert_eq!(scratch.read("t.csv"), first);
    assert!(!extract("--no-cache").contains("from the cache") && !extract("--mean 0.1").contains("from the cache"));
    assert!(scratch.succeeds("cache").contains("of 2 backbones"));
    assert!(scratch.succeeds("cache clear").contains("cleared"));
    assert!(scratch.succeeds("cache").contains("nothing is kept"));
    // A folder of its own; what is no cache there stays.
    scratch.make("kept");
    scratch.write("kept/thesis.features", "years of work");
    extract("--cache kept");
    assert!(extract("--cache kept").contains("from the cache"));
    scratch.succeeds("cache clear --cache kept");
    assert_eq!(scratch.read("kept/thesis.features"), b"years of work");
    // A place that is none does not stop the work.
    scratch.write("file", "x");
    let (_, warning) = scratch.both("extract --images set --backbone builtin --out t.csv --force --cache file");
    assert!(warning.starts_with("warning: ") && warning.contains("file"), "{warning}");
}

#[test]
#[cfg(unix)]
fn extracted_features_and_their_cache_are_for_their_owner_alone() {
    use std::os::unix::fs::PermissionsExt;
    let scratch = Scratch::new();
    class_folder(&scratch, "set", 2, 0);
    scratch.succeeds("extract --images set --backbone builtin --out t.safetensors --cache kept");
    let mode = |name: &str| std::fs::metadata(scratch.path(name)).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode("t.safetensors"), 0o600);
    let file = scratch.listing().into_iter().find(|name| name.starts_with("kept/")).unwrap();
    assert_eq!(mode(&file), 0o600);
}
