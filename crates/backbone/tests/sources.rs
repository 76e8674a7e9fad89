//! Every form of image set, whole and damaged, and extraction from them.

mod common;

use std::fs;
use std::io::Write;
use std::path::Path;

use ciphertune_backbone::{
    Backbone, BackboneError, ExtractOptions, InputSize, Matrix, OnnxNetwork, OnnxOptions, Picture, Preprocess, Sample,
    Source, clear_cache, collect,
};
use ciphertune_formats::splits::Split;
use common::data_folder;

fn png(path: &Path, grey: u8) {
    image::GrayImage::from_pixel(4, 3, image::Luma([grey])).save(path).expect("written");
}

fn read(source: Source) -> Vec<Sample> {
    source.collect::<Result<_, _>>().unwrap_or_else(|error| panic!("{error}"))
}

fn refused(path: &Path, labels: Option<&Path>) -> String {
    match Source::open(path, labels).and_then(|source| source.collect::<Result<Vec<_>, _>>()) {
        Err(error) => error.to_string(),
        Ok(_) => panic!("{} was accepted", path.display()),
    }
}

fn labels(samples: &[Sample]) -> Vec<&str> {
    samples.iter().map(|sample| sample.label.as_deref().unwrap_or("none")).collect()
}

/// Two classes with two images and one.
fn class_folder(folder: &Path) {
    for class in ["cat", "dog"] {
        fs::create_dir_all(folder.join(class)).expect("created");
    }
    png(&folder.join("cat/2.png"), 20);
    png(&folder.join("cat/1.png"), 10);
    png(&folder.join("dog/1.PNG"), 30);
    fs::write(folder.join("dog/notes.txt"), "no image").expect("written");
}

#[test]
fn a_folder_with_a_sub_folder_a_class_is_read_in_the_order_of_names() {
    let folder = tempfile::tempdir().expect("a folder");
    class_folder(folder.path());
    let source = Source::open(folder.path(), None).expect("a source");
    assert_eq!(source.images(), Some(3));
    let samples = read(source);
    assert_eq!(labels(&samples), ["cat", "cat", "dog"]);
    assert_eq!(samples[0].decode().expect("an image").pixels()[0], 10);
    let flat = read(Source::open(&folder.path().join("cat"), None).expect("a source"));
    assert_eq!(labels(&flat), ["none", "none"]);
}

#[test]
fn images_of_forms_that_are_not_read_are_refused_by_name_and_not_passed_over() {
    let folder = tempfile::tempdir().expect("a folder");
    class_folder(folder.path());
    fs::write(folder.path().join("cat/3.heic"), b"\0\0\0\x18ftypheic\0\0\0\0").expect("written");
    fs::write(folder.path().join("cat/4"), b"\0\0\0\x1cftypavif\0\0\0\0").expect("written");
    let samples = read(Source::open(folder.path(), None).expect("a source"));
    assert_eq!(labels(&samples), ["cat", "cat", "cat", "cat", "dog"]);
    let message = samples[2].decode().expect_err("a HEIC image").to_string();
    assert!(message.contains("3.heic") && message.contains("convert it"), "{message}");
    let message = samples[3].decode().expect_err("an AVIF image").to_string();
    assert!(message.contains("AVIF images are not read"), "{message}");
}

#[test]
fn images_without_an_extension_or_with_a_wrong_one_are_told_by_their_content() {
    let folder = tempfile::tempdir().expect("a folder");
    class_folder(folder.path());
    let at = |name: &str| folder.path().join(name);
    let image = fs::read(at("cat/1.png")).expect("read");
    for name in ["cat/IM000001", "cat/3.dat", "dog/scan.txt"] {
        fs::write(at(name), &image).expect("written");
    }
    // What is no image is passed over, and so is what is hidden.
    for name in ["cat/.DS_Store", "cat/Thumbs.db", "cat/README", "dog/empty", "dog/list.csv"] {
        fs::write(at(name), if name.ends_with("empty") { "" } else { "BM, but no bitmap" }).expect("written");
    }
    fs::write(at("dog/.hidden.png"), &image).expect("written");
    let samples = read(Source::open(folder.path(), None).expect("a source"));
    let names: Vec<_> = samples.iter().map(|sample| sample.name.rsplit('/').next().unwrap_or("")).collect();
    assert_eq!(names, ["1.png", "2.png", "3.dat", "IM000001", "1.PNG", "scan.txt"]);
    assert_eq!(samples[3].decode().expect("an image").pixels()[0], 10);
    // The same for one file, whatever form its name belongs to.
    for name in ["one", "one.csv", "one.npz", "one.bin", "one.jpg"] {
        fs::write(at(name), &image).expect("written");
        let samples = read(Source::open(&at(name), None).expect("a source"));
        assert_eq!(samples[0].decode().expect("an image").pixels()[0], 10, "{name}");
    }
    fs::write(at("text"), "hello").expect("written");
    assert!(refused(&at("text"), None).contains("not a known form"));
}

#[test]
fn class_folders_in_turn_give_the_first_of_every_class_then_the_second() {
    let folder = tempfile::tempdir().expect("a folder");
    class_folder(folder.path());
    fs::create_dir(folder.path().join("bird")).expect("created");
    for number in 0..3 {
        png(&folder.path().join(format!("bird/{number}.png")), 100 + number);
    }
    let in_turn = || Source::open(folder.path(), None).expect("a source").classes_in_turn();
    assert_eq!(in_turn().images(), Some(6));
    let samples = read(in_turn());
    assert_eq!(labels(&samples), ["bird", "cat", "dog", "bird", "cat", "bird"]);
    let grey = |sample: &Sample| sample.decode().expect("an image").pixels()[0];
    assert_eq!(samples.iter().map(grey).collect::<Vec<_>>(), [100, 10, 30, 101, 20, 102]);
    assert_eq!(grey(&in_turn().nth(4).expect("a fifth image").expect("readable")), 20);
    assert!(in_turn().nth(6).is_none());

    // A list has the order that somebody gave it.
    let list = folder.path().join("list.csv");
    fs::write(&list, "bird/0.png,b\nbird/1.png,b\ncat/1.png,c\n").expect("written");
    let listed = Source::open(&list, None).expect("a source").classes_in_turn();
    assert_eq!(labels(&read(listed)), ["b", "b", "c"]);
}

#[test]
fn images_with_more_frames_are_named_in_the_summary_whether_cached_or_not() {
    let (folder, cache) = (tempfile::tempdir().expect("a folder"), tempfile::tempdir().expect("a folder"));
    png(&folder.path().join("1.png"), 1);
    let mut file = fs::File::create(folder.path().join("2.gif")).expect("created");
    let mut encoder = image::codecs::gif::GifEncoder::new(&mut file);
    for grey in [10, 200] {
        let picture = image::RgbaImage::from_pixel(4, 3, image::Rgba([grey, grey, grey, 255]));
        encoder.encode_frame(image::Frame::new(picture)).expect("a frame");
    }
    drop(encoder);
    let options = ExtractOptions { cache: Some(cache.path().to_owned()), ..Default::default() };
    for cached in [0, 2] {
        let source = Source::open(folder.path(), None).expect("a source");
        let all = collect(&Means, &Preprocess::paper(), source, &options, &mut |_| Ok(())).expect("extracted");
        assert_eq!(all.summary.from_cache, cached);
        assert!(matches!(&all.summary.first_of_several[..], [name] if name.ends_with("2.gif")));
        assert!((all.features.row(1)[0] - 10.0).abs() < 1e-3, "{:?}", all.features.row(1));
    }
}

#[test]
fn folders_that_are_ambiguous_or_empty_are_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    assert!(refused(folder.path(), None).contains("no images found"));
    class_folder(folder.path());
    png(&folder.path().join("stray.png"), 1);
    assert!(refused(folder.path(), None).contains("stray.png"));
    fs::remove_file(folder.path().join("stray.png")).expect("removed");
    fs::create_dir(folder.path().join("bird")).expect("created");
    assert!(refused(folder.path(), None).contains("bird"));
    assert!(refused(&folder.path().join("absent"), None).contains("absent"));
}

#[test]
fn a_list_gives_paths_relative_to_itself_and_labels() {
    let folder = tempfile::tempdir().expect("a folder");
    class_folder(folder.path());
    let list = folder.path().join("list.csv");
    fs::write(&list, "path,label\ncat/1.png,feline\n dog/1.PNG , canine\n").expect("written");
    assert_eq!(labels(&read(Source::open(&list, None).expect("a source"))), ["feline", "canine"]);
    fs::write(&list, "cat/1.png\ndog/1.PNG\n").expect("written");
    assert_eq!(labels(&read(Source::open(&list, None).expect("a source"))), ["none", "none"]);
    fs::write(&list, "cat/1.png,x\ndog/1.PNG\n").expect("written");
    assert!(refused(&list, None).contains("line 2"));
    fs::write(&list, "cat/1.png,x\ncat/9.png,y\n").expect("written");
    assert!(refused(&list, None).contains("9.png"));
}

fn idx(sizes: &[u32], values: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0, 0, 8, sizes.len() as u8];
    sizes.iter().for_each(|size| bytes.extend(size.to_be_bytes()));
    bytes.extend(values);
    bytes
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    packer.write_all(bytes).expect("memory takes all");
    packer.finish().expect("memory takes all")
}

#[test]
fn idx_files_are_read_plain_and_gzipped_with_their_labels() {
    let folder = tempfile::tempdir().expect("a folder");
    let (images, names) = (folder.path().join("images-idx3-ubyte.gz"), folder.path().join("labels-idx1-ubyte"));
    let pixels: Vec<u8> = (0..12).collect();
    fs::write(&images, gzip(&idx(&[2, 2, 3], &pixels))).expect("written");
    fs::write(&names, idx(&[2], &[7, 9])).expect("written");
    let samples = read(Source::open(&images, Some(&names)).expect("a source"));
    assert_eq!(labels(&samples), ["7", "9"]);
    assert_eq!(samples[1].decode().expect("pixels"), Picture::new(3, 2, 1, pixels[6..].to_vec()).expect("a picture"));
    assert_eq!(labels(&read(Source::open(&images, None).expect("a source"))), ["none", "none"]);

    fs::write(&names, idx(&[3], &[7, 9, 1])).expect("written");
    assert!(refused(&images, Some(&names)).contains("3 labels for 2 images"));
    assert!(refused(&names, None).contains("not an idx file of images"));
    fs::write(&images, idx(&[2, 2, 3], &pixels[..11])).expect("written");
    assert!(refused(&images, None).contains("copy it again"));
    let whole = gzip(&idx(&[2, 2, 3], &pixels[..7]));
    fs::write(&images, &whole).expect("written");
    assert!(refused(&images, None).contains("record 2"));
    fs::write(&images, &whole[..whole.len() / 2]).expect("written");
    assert!(refused(&images, None).contains("images-idx3"));
    // The last four bytes but four are the content's checksum.
    let mut whole = gzip(&idx(&[2, 2, 3], &pixels));
    let checksum = whole.len() - 8;
    whole[checksum] ^= 1;
    fs::write(&images, &whole).expect("written");
    assert!(refused(&images, None).contains("damaged at its end"));
    fs::write(&images, gzip(&idx(&[2, 2, 3], &[0; 13]))).expect("written");
    assert!(refused(&images, None).contains("goes on after the 2 records"));
    fs::write(&images, idx(&[u32::MAX, 60_000, 60_000], &[])).expect("written");
    assert!(refused(&images, None).contains("images-idx3"));
    fs::write(&images, b"").expect("written");
    assert!(refused(&images, None).contains("empty"));
}

#[test]
fn cifar_10_batches_are_read_from_a_folder_and_a_file() {
    let folder = tempfile::tempdir().expect("a folder");
    let record = |label: u8| {
        let mut bytes = vec![label];
        bytes.extend([[1u8; 1024], [2; 1024], [3; 1024]].concat());
        bytes
    };
    let first = folder.path().join("data_batch_1.bin");
    fs::write(&first, [record(3), record(9)].concat()).expect("written");
    fs::write(folder.path().join("data_batch_2.bin"), record(0)).expect("written");
    let samples = read(Source::open(folder.path(), None).expect("a source"));
    assert_eq!(labels(&samples), ["3", "9", "0"]);
    assert_eq!(samples[2].decode().expect("pixels").pixels()[..3], [1, 2, 3]);
    assert!(samples[2].name.ends_with("data_batch_2.bin, image 1"), "{}", samples[2].name);
    assert_eq!(labels(&read(Source::open(&first, None).expect("a source"))), ["3", "9"]);
    fs::write(&first, record(10)).expect("written");
    assert!(refused(&first, None).contains("label 10"));
    fs::write(&first, &record(1)[1..]).expect("written");
    assert!(refused(&first, None).contains("3072 bytes"));
}

fn npy(kind: &str, shape: &str, values: &[u8]) -> Vec<u8> {
    let header = format!("{{'descr': '{kind}', 'fortran_order': False, 'shape': {shape}, }}\n");
    let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
    bytes.extend((header.len() as u16).to_le_bytes());
    bytes.extend(header.as_bytes());
    bytes.extend(values);
    bytes
}

fn npz(path: &Path, arrays: &[(&str, Vec<u8>)], method: zip::CompressionMethod) {
    let mut archive = zip::ZipWriter::new(fs::File::create(path).expect("created"));
    for (name, bytes) in arrays {
        let options = zip::write::SimpleFileOptions::default().compression_method(method);
        archive.start_file(format!("{name}.npy"), options).expect("started");
        archive.write_all(bytes).expect("written");
    }
    archive.finish().expect("finished");
}

#[test]
fn npz_archives_may_hold_parts_as_medmnist_and_keras_name_them() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("set.npz");
    for [images, labels, test] in [["train_images", "train_labels", "test_images"], ["x_train", "y_train", "x_test"]] {
        let arrays = [
            (images, npy("|u1", "(2, 1, 2)", &[1, 2, 3, 4])),
            (labels, npy("|u1", "(2, 1)", &[7, 8])),
            (test, npy("|u1", "(1, 1, 2)", &[5, 6])),
        ];
        npz(&path, &arrays, zip::CompressionMethod::Deflated);
        let read = |split| {
            let source = Source::open_part(&path, None, split).expect("a source");
            let samples = source.map(|sample| sample.expect("a sample"));
            samples
                .map(|sample| (sample.label.clone(), sample.decode().expect("a picture").pixels().to_vec()))
                .collect::<Vec<_>>()
        };
        let train = [(Some("7".to_owned()), vec![1, 2]), (Some("8".to_owned()), vec![3, 4])];
        assert_eq!(read(None), train);
        assert_eq!(read(Some(Split::Train)), train);
        assert_eq!(read(Some(Split::Test)), [(None, vec![5, 6])]);
        let error = Source::open_part(&path, None, Some(Split::Validation)).err().expect("no such part").to_string();
        assert!(error.contains("no part called validation"), "{error}");
    }
}

#[test]
fn npz_archives_are_streamed_stored_and_deflated() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("set.npz");
    let pixels: Vec<u8> = (0..24).collect();
    for method in [zip::CompressionMethod::Stored, zip::CompressionMethod::Deflated] {
        let numbers: Vec<u8> = [5i64, -1].iter().flat_map(|number| number.to_le_bytes()).collect();
        let arrays = [("images", npy("|u1", "(2, 2, 2, 3)", &pixels)), ("labels", npy("<i8", "(2,)", &numbers))];
        npz(&path, &arrays, method);
        let samples = read(Source::open(&path, None).expect("a source"));
        assert_eq!(labels(&samples), ["5", "-1"]);
        assert_eq!(
            samples[1].decode().expect("pixels"),
            Picture::new(2, 2, 3, pixels[12..].to_vec()).expect("a picture")
        );

        npz(&path, &[("images", npy("|u1", "(3, 2, 2, 3)", &pixels))], method);
        assert!(refused(&path, None).contains("shorter than its shape"));
        npz(&path, &[("images", npy("|u1", "(1, 2, 2, 3)", &pixels))], method);
        assert!(refused(&path, None).contains("longer than its shape says"));
        npz(&path, &[("images", npy("<f4", "(2, 3)", &pixels))], method);
        assert!(refused(&path, None).contains("shape [2, 3]"));
        npz(&path, &[("images", npy("<f4", "(2, 3, 1)", &pixels))], method);
        assert!(refused(&path, None).contains("uint8"));
        npz(&path, &[("labels", npy("|u1", "(2,)", &[1, 2]))], method);
        assert!(refused(&path, None).contains("no array `images`"));
    }
    npz(&path, &[("images", npy("|u1", "(2, 2, 2, 3)", &pixels))], zip::CompressionMethod::Stored);
    let mut bytes = fs::read(&path).expect("read");
    let at = bytes.windows(4).position(|four| four == [20, 21, 22, 23]).expect("the last pixels");
    bytes[at] ^= 1;
    fs::write(&path, &bytes).expect("written");
    assert!(refused(&path, None).contains("checksum"));
}

/// Features that can be foretold: the mean of each plane.
struct Means;

impl Backbone for Means {
    fn features(&self) -> usize {
        3
    }

    fn input_size(&self) -> InputSize {
        InputSize { width: 4, height: 3 }
    }

    fn digest(&self) -> [u8; 32] {
        [1; 32]
    }

    fn extract(&self, batch: &[f32]) -> Result<Matrix, BackboneError> {
        let values: Vec<f32> = batch.chunks(12).map(|plane| plane.iter().sum::<f32>() / 12.0 * 255.0).collect();
        Ok(Matrix::new(values.len() / 3, 3, values).expect("three a picture"))
    }
}

#[test]
fn extraction_keeps_the_order_and_a_second_run_comes_from_the_cache() {
    let (folder, cache) = (tempfile::tempdir().expect("a folder"), tempfile::tempdir().expect("a folder"));
    let path = folder.path().join("images");
    let pixels: Vec<u8> = (0..100).flat_map(|image| [image as u8; 12]).collect();
    fs::write(&path, idx(&[100, 3, 4], &pixels)).expect("written");
    let options = ExtractOptions { cache: Some(cache.path().to_owned()), threads: Some(2), ..Default::default() };
    for cached in [0, 100] {
        let source = Source::open(&path, None).expect("a source");
        let mut last = 0;
        let mut progress = |progress: ciphertune_backbone::Progress| {
            assert!(progress.done > last && progress.images == Some(100));
            last = progress.done;
            Ok(())
        };
        let all = collect(&Means, &Preprocess::paper(), source, &options, &mut progress).expect("extracted");
        assert_eq!(last, 100);
        assert_eq!((all.summary.rows, all.summary.from_cache), (100, cached));
        for row in 0..100 {
            assert!((all.features.row(row)[1] - row as f32).abs() < 1e-3);
        }
    }
    let source = Source::open(&path, None).expect("a source");
    let other = collect(&Means, &Preprocess::onnx_default(), source, &options, &mut |_| Ok(())).expect("extracted");
    assert_eq!(other.summary.from_cache, 0, "other preprocessing, other features");
    assert!(clear_cache(cache.path()).expect("cleared") > 0);
}

#[test]
fn an_unreadable_image_ends_the_extraction_unless_it_is_to_be_skipped() {
    let folder = tempfile::tempdir().expect("a folder");
    class_folder(folder.path());
    fs::write(folder.path().join("cat/0.png"), b"").expect("written");
    fs::write(folder.path().join("dog/2.jpg"), b"no JPEG").expect("written");
    let run = |skip_bad| {
        let source = Source::open(folder.path(), None).expect("a source");
        let options = ExtractOptions { skip_bad, ..Default::default() };
        collect(&Means, &Preprocess::paper(), source, &options, &mut |_| Ok(()))
    };
    let error = run(false).expect_err("the first image is empty").to_string();
    assert!(error.contains("0.png") && error.contains("skipped"), "{error}");
    let all = run(true).expect("the others are read");
    assert_eq!(all.labels.expect("a class each"), ["cat", "cat", "dog"]);
    let skipped: Vec<_> =
        all.summary.skipped.iter().map(|skipped| skipped.name.rsplit('/').next().unwrap_or("")).collect();
    assert_eq!(skipped, ["0.png", "2.jpg"]);
}

/// The first 200 rows of the features that came with the data, from its `.npz`.
fn given_features(path: &Path, rows: usize) -> Vec<f32> {
    use std::io::Read;
    let mut archive = zip::ZipArchive::new(fs::File::open(path).expect("opened")).expect("an archive");
    let mut entry = archive.by_name("features.npy").expect("the array");
    let mut start = [0; 10];
    entry.read_exact(&mut start).expect("a header");
    let mut header = vec![0; usize::from(u16::from_le_bytes([start[8], start[9]]))];
    entry.read_exact(&mut header).expect("a header");
    let mut bytes = vec![0; rows * 768 * 4];
    entry.read_exact(&mut bytes).expect("rows");
    bytes.chunks_exact(4).map(|four| f32::from_le_bytes([four[0], four[1], four[2], four[3]])).collect()
}

#[test]
fn mnist_through_mobilenet_equals_the_given_features_to_half_precision() {
    let Some(data) = data_folder() else { return };
    const ROWS: usize = 200;
    let model = data.join("backbones/mobilenet_v1_0.75_224_features.onnx");
    let network = OnnxNetwork::load(&model, &OnnxOptions::default()).expect("a model");
    let (images, names) =
        (data.join("mnist/train-images-idx3-ubyte.gz"), data.join("mnist/train-labels-idx1-ubyte.gz"));
    let source = Source::open(&images, Some(&names)).expect("a source");
    let source = Source::from_samples(Some(ROWS), source.take(ROWS));
    let options = ExtractOptions::default();
    let all = collect(&network, &Preprocess::onnx_default(), source, &options, &mut |_| Ok(())).expect("extracted");
    assert_eq!(all.labels.expect("labels")[..5], ["5", "0", "4", "1", "9"]);
    let given = given_features(&data.join("mnist_mobilenet_v1_0.75/train_first8192.npz"), ROWS);
    // Rounding to a half moves a value by up to half a step of 11 significant bits; to that comes the arithmetic of
    // another runtime in 32 bits.
    let half_step = |value: f32| 2f32.powi(value.abs().log2().floor().max(-14.0) as i32 - 11);
    let differences = all.features.values().iter().zip(&given).map(|(found, given)| (found - given, half_step(*given)));
    let excess = differences.clone().map(|(difference, step)| difference.abs() - step).fold(0f32, f32::max);
    let rounded = differences.filter(|(difference, step)| difference.abs() <= *step).count();
    eprintln!("{rounded} of {} values round to the given half; largest excess {excess}", given.len());
    assert!(excess < 1e-4, "a value is {excess} farther from the given one than rounding explains");
}
