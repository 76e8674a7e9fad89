//! Feature tables.

use std::io::{Cursor, Write};
use std::path::Path;

use ciphertune_formats::npz::{Values, Writer};
use ciphertune_head::table::Part;
use ciphertune_head::{DMatrix, FeatureTable, LabelColumn};
use ciphertune_session::files::read_table;
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

use super::{Format, hash};

const ROWS: usize = 12;
const FEATURES: usize = 4;

fn value(row: usize, k: usize) -> f32 {
    ((row * 7 + k * 3) % 11) as f32 * 0.25 + (row % 3) as f32
}

fn read(path: &Path) -> Result<u64, String> {
    let table = read_table(path, LabelColumn::Present, &Part::default()).map_err(|error| error.to_string())?;
    let bits: Vec<u64> = table.features().iter().map(|x| x.to_bits()).collect();
    Ok(hash((table.rows(), bits, table.labels().map(<[String]>::to_vec))))
}

fn text(separator: char, decimal: char) -> Vec<u8> {
    let mut text = format!("label{separator}a{separator}b{separator}c{separator}d\n");
    for row in 0..ROWS {
        let fields: Vec<String> =
            (0..FEATURES).map(|k| value(row, k).to_string().replace('.', &decimal.to_string())).collect();
        text += &format!("{}{separator}{}\n", row % 3, fields.join(&separator.to_string()));
    }
    text.into_bytes()
}

/// An array as `.npy`.
pub fn npy(descriptor: &str, shape: &str, values: &[u8]) -> Vec<u8> {
    let mut head = format!("{{'descr': '{descriptor}', 'fortran_order': False, 'shape': {shape}, }}");
    while (10 + head.len() + 1) % 64 != 0 {
        head.push(' ');
    }
    head.push('\n');
    [&b"\x93NUMPY\x01\x00"[..], &(head.len() as u16).to_le_bytes(), head.as_bytes(), values].concat()
}

/// A zip archive of these files.
pub fn archive(files: &[(&str, &[u8])], method: CompressionMethod) -> Vec<u8> {
    let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, bytes) in files {
        let options = SimpleFileOptions::default().compression_method(method);
        writer.start_file(*name, options).expect("a name of its own");
        writer.write_all(bytes).expect("memory");
    }
    writer.finish().expect("memory").into_inner()
}

pub fn formats() -> Vec<Format> {
    let floats: Vec<f32> = (0..ROWS * FEATURES).map(|at| value(at / FEATURES, at % FEATURES)).collect();
    let raw: Vec<u8> = floats.iter().flat_map(|x| x.to_le_bytes()).collect();
    let labels: Vec<i64> = (0..ROWS as i64).map(|row| row % 3).collect();
    let mut npz = Writer::new(Cursor::new(Vec::new()));
    npz.array("features", &[ROWS, FEATURES], Values::F32(&floats)).expect("memory");
    npz.array("labels", &[ROWS], Values::I64(&labels)).expect("memory");
    let npz = npz.finish().expect("memory").into_inner();
    let words: Vec<u8> = (0..ROWS)
        .flat_map(|row| ["ab", "c\0", "de"][row % 3].chars().map(u32::from))
        .flat_map(u32::to_le_bytes)
        .collect();
    let words = npy("<U2", &format!("({ROWS},)"), &words);
    let inner = npy("<f4", &format!("({ROWS}, {FEATURES})"), &raw);
    let deflated = archive(&[("X.npy", &inner), ("y.npy", &words)], CompressionMethod::Deflated);
    let (as_x, as_y) = (words.clone(), inner.clone());
    let matrix = DMatrix::from_row_iterator(ROWS, FEATURES, floats.iter().map(|&x| f64::from(x)));
    let names = labels.iter().map(|label| format!("class {label}")).collect();
    let table = FeatureTable::new(matrix, Some(names)).expect("a table");
    vec![
        Format::new("table-csv", "table.csv", text(',', '.'), read),
        Format::new("table-semicolons", "table.csv", text(';', ','), read),
        Format::new("table-tabs", "table.tsv", text('\t', '.'), read),
        Format::new("table-npz", "table.npz", npz, read).checked(),
        Format::new("table-npz-words", "table.npz", deflated, read)
            .checked()
            .layer(inner, move |x| archive(&[("X.npy", &x), ("y.npy", &as_x)], CompressionMethod::Deflated))
            .layer(words, move |y| archive(&[("X.npy", &as_y), ("y.npy", &y)], CompressionMethod::Stored)),
        Format::new("table-safetensors", "table.safetensors", table.to_safetensors().expect("memory"), read),
    ]
}
