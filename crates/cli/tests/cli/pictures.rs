//! Small pictures to train on, in every form that is read, and a small ONNX network.

use ciphertune_backbone::Picture;

use crate::support::Scratch;

pub const CLASSES: [&str; 3] = ["bars", "dots", "ring"];

/// A 12 x 12 drawing of a class; `number` moves and dims it.
pub fn drawing(class: usize, number: usize) -> Picture {
    let (left, top) = ((number * 5 + class) % 3, (number * 7 / 3) % 3);
    let ink = 255 - (number * 37 % 120) as u8;
    let lit = |x: usize, y: usize| {
        let (x, y) = ((x + left) as i32, (y + top) as i32);
        match class {
            0 => x % 4 == 0,
            1 => x % 4 < 2 && y % 4 < 2,
            _ => (9..36).contains(&((x - 7) * (x - 7) + (y - 7) * (y - 7))),
        }
    };
    let pixels = (0..144).map(|at| if lit(at % 12, at / 12) { ink } else { (at * number % 23) as u8 });
    Picture::new(12, 12, 1, pixels.collect()).expect("12 x 12 pixels")
}

/// `each` PNG files a class, in a folder with a sub-folder a class.
pub fn class_folder(scratch: &Scratch, folder: &str, each: usize, first: usize) {
    for (class, name) in CLASSES.iter().enumerate() {
        scratch.make(&format!("{folder}/{name}"));
        for number in first..first + each {
            scratch.write(&format!("{folder}/{name}/{number:03}.png"), drawing(class, number).to_png());
        }
    }
}

/// The same as idx files: images and labels, classes in turn.
pub fn idx(scratch: &Scratch, stem: &str, count: usize) {
    let header = |kind: u8, sizes: &[u32]| {
        let sizes = sizes.iter().flat_map(|size| size.to_be_bytes());
        [0, 0, 8, kind].into_iter().chain(sizes).collect::<Vec<u8>>()
    };
    let mut images = header(3, &[count as u32, 12, 12]);
    let mut labels = header(1, &[count as u32]);
    for number in 0..count {
        images.extend(drawing(number % 3, number).pixels());
        labels.push((number % 3) as u8);
    }
    scratch.write(&format!("{stem}-images"), images);
    scratch.write(&format!("{stem}-labels"), labels);
}

/// The header of a PNG file of that size, and nothing after it.
pub fn png_header(width: u32, height: u32) -> Vec<u8> {
    let mut chunk = b"IHDR".to_vec();
    chunk.extend(width.to_be_bytes());
    chunk.extend(height.to_be_bytes());
    chunk.extend([8, 2, 0, 0, 0]);
    let mut file = b"\x89PNG\r\n\x1a\n\0\0\0\x0d".to_vec();
    file.extend(&chunk);
    let mut checksum = flate2::Crc::new();
    checksum.update(&chunk);
    file.extend(checksum.sum().to_be_bytes());
    file.extend(b"\0\0\0\0IDAT\x35\xaf\x06\x1e");
    file
}

/// An animated PNG of two frames of 1 x 1, the first black, the second white.
pub fn animation() -> Vec<u8> {
    let chunk = |kind: &[u8; 4], content: &[u8]| {
        let mut checked = kind.to_vec();
        checked.extend(content);
        let mut checksum = flate2::Crc::new();
        checksum.update(&checked);
        let mut chunk = (content.len() as u32).to_be_bytes().to_vec();
        chunk.extend(checked);
        chunk.extend(checksum.sum().to_be_bytes());
        chunk
    };
    let big = |numbers: &[u32]| numbers.iter().flat_map(|number| number.to_be_bytes()).collect::<Vec<u8>>();
    // A deflate block without compression of the filter byte and one grey pixel, and its Adler-32 checksum.
    let pixel = |grey: u8| {
        let adler = (u32::from(grey) + 2) << 16 | (u32::from(grey) + 1);
        [&[0x78, 0x01, 1, 2, 0, 0xfd, 0xff, 0, grey][..], &adler.to_be_bytes()].concat()
    };
    let control = |sequence: u32| [big(&[sequence, 1, 1, 0, 0]), vec![0, 1, 0, 1, 0, 0]].concat();
    let mut file = b"\x89PNG\r\n\x1a\n".to_vec();
    file.extend(chunk(b"IHDR", &[&big(&[1, 1])[..], &[8, 0, 0, 0, 0]].concat()));
    file.extend(chunk(b"acTL", &big(&[2, 0])));
    file.extend(chunk(b"fcTL", &control(0)));
    file.extend(chunk(b"IDAT", &pixel(0)));
    file.extend(chunk(b"fcTL", &control(1)));
    file.extend(chunk(b"fdAT", &[big(&[2]), pixel(255)].concat()));
    file.extend(chunk(b"IEND", b""));
    file
}

/// An ONNX model that takes n x 3 x 6 x 6 and gives the mean of every plane and, before it, the value `pooled`.
pub fn means_onnx() -> Vec<u8> {
    means_and("", &[], "features")
}

/// [`means_onnx`] and behind it a softmax, `classes`.
pub fn softmax_onnx() -> Vec<u8> {
    means_and("Softmax", &[], "classes")
}

/// [`means_onnx`] and behind it a product, `scaled`, with three numbers that are in the file `location`, from byte 8 on.
pub fn external_onnx(location: &str) -> Vec<u8> {
    let entry = |key: &str, value: &str| field(13, &[text(1, key), text(2, value)].concat());
    let place = [entry("location", location), entry("offset", "8"), entry("length", "12")].concat();
    let factors = [number(1, 3), number(2, 1), text(8, "factors"), place, number(14, 1)].concat();
    means_and("Mul", &factors, "scaled")
}

/// [`means_onnx`] and behind it, if it has a name, an operator that gives `output`, with a tensor `factors` if there is one.
fn means_and(operator: &str, factors: &[u8], output: &str) -> Vec<u8> {
    let node = |operator: &str, from: &[&str], to: &str| {
        let inputs: Vec<u8> = from.iter().flat_map(|from| text(1, from)).collect();
        field(1, &[inputs, text(2, to), text(4, operator)].concat())
    };
    let size = |size: u64| field(1, &number(1, size));
    let shape = [field(1, &text(2, "n")), size(3), size(6), size(6)].concat();
    let kind = field(1, &[number(1, 1), field(2, &shape)].concat());
    let mut graph =
        [node("GlobalAveragePool", &["input"], "pooled"), node("Flatten", &["pooled"], "features")].concat();
    match (operator, factors) {
        ("", _) => {}
        (operator, []) => graph.extend(node(operator, &["features"], output)),
        (operator, factors) => {
            graph.extend(node(operator, &["features", "factors"], output));
            graph.extend(field(5, factors));
        }
    }
    graph.extend(text(2, "means"));
    graph.extend(field(11, &[text(1, "input"), field(2, &kind)].concat()));
    graph.extend(field(12, &text(1, output)));
    let operators = [text(1, ""), number(2, 13)].concat();
    [number(1, 8), field(7, &graph), field(8, &operators)].concat()
}

// The wire format of protocol buffers: a field of bytes, and one that is a number.

fn field(key: u64, bytes: &[u8]) -> Vec<u8> {
    [varint(key << 3 | 2), varint(bytes.len() as u64), bytes.to_vec()].concat()
}

fn text(key: u64, text: &str) -> Vec<u8> {
    field(key, text.as_bytes())
}

fn number(key: u64, value: u64) -> Vec<u8> {
    [varint(key << 3), varint(value)].concat()
}

fn varint(mut value: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    while value >= 0x80 {
        bytes.push(value as u8 | 0x80);
        value >>= 7;
    }
    bytes.push(value as u8);
    bytes
}
