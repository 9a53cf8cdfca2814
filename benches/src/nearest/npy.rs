//! What is in a file of NumPy's?
//!
//! Of its format (<https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html>) as much as the data sets
//! need: version 1.0, rows in C's order, of signed bytes or of little-endian f32.

use std::path::Path;

const MAGIC: &[u8] = b"\x93NUMPY\x01\x00";

/// An array: how long it is in each direction, and its elements as bytes.
struct Array {
    shape: Vec<usize>,
    elements: Vec<u8>,
}

/// Reads an array of signed bytes in two directions; answers the length of a row, too.
///
/// # Panics
/// When the file isn't that.
pub fn codes(path: &Path) -> (Vec<i8>, usize) {
    let array = read(path, "|i1");
    let [_, width] = array.shape[..] else { panic!("{}: not of rows: {:?}", path.display(), array.shape) };
    (array.elements.iter().map(|&byte| byte.cast_signed()).collect(), width)
}

/// Reads the elements of an array of f32.
///
/// # Panics
/// When the file isn't that.
pub fn floats(path: &Path) -> Vec<f32> {
    read(path, "<f4").elements.as_chunks::<4>().0.iter().map(|four| f32::from_le_bytes(*four)).collect()
}

fn read(path: &Path, descr: &str) -> Array {
    let bytes = std::fs::read(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    parse(&bytes, descr).unwrap_or_else(|why| panic!("{}: {why}", path.display()))
}

fn parse(bytes: &[u8], descr: &str) -> Result<Array, String> {
    let rest = bytes.strip_prefix(MAGIC).ok_or("not of version 1.0 of NumPy's format")?;
    let (length, rest) = rest.split_first_chunk::<2>().ok_or("cut off")?;
    let (head, elements) =
        rest.split_at_checked(usize::from(u16::from_le_bytes(*length))).ok_or("cut off")?;
    let head = str::from_utf8(head).map_err(|e| e.to_string())?;
    if !head.contains(&format!("'descr': '{descr}'")) || !head.contains("'fortran_order': False") {
        return Err(format!("not of {descr} in C's order: {head}"));
    }
    let shape = head.split_once("'shape': (").and_then(|(_, rest)| rest.split_once(')')).ok_or("no shape")?.0;
    let shape: Result<Vec<usize>, _> =
        shape.split(',').map(str::trim).filter(|part| !part.is_empty()).map(str::parse).collect();
    let shape = shape.map_err(|e| e.to_string())?;
    let each = if descr.ends_with('4') { 4 } else { 1 };
    if shape.iter().product::<usize>() * each != elements.len() {
        return Err(format!("{} bytes of elements are not {shape:?}", elements.len()));
    }
    Ok(Array { shape, elements: elements.to_vec() })
}

#[cfg(test)]
mod tests {
    use super::parse;

    fn file(head: &str, elements: &[u8]) -> Vec<u8> {
        [&b"\x93NUMPY\x01\x00"[..], &(head.len() as u16).to_le_bytes(), head.as_bytes(), elements].concat()
    }

    // Rows would be read from the wrong place, and every figure be of other vectors.
    #[test]
    fn elements_begin_behind_the_head() {
        let bytes =
            file("{'descr': '|i1', 'fortran_order': False, 'shape': (2, 3), }  \n", &[1, 2, 3, 4, 5, 255]);
        let array = parse(&bytes, "|i1").expect("an array");
        assert_eq!((array.shape, array.elements), (vec![2, 3], vec![1, 2, 3, 4, 5, 255]));
        let bytes =
            file("{'descr': '<f4', 'fortran_order': False, 'shape': (1,), }\n", &1.5_f32.to_le_bytes());
        assert_eq!(parse(&bytes, "<f4").expect("an array").shape, [1]);
    }

    // A benchmark of half a file would look like one of the whole.
    #[test]
    fn what_is_not_said_in_the_head_is_refused() {
        let head = "{'descr': '|i1', 'fortran_order': False, 'shape': (2, 3), }\n";
        let whole = file(head, &[0; 6]);
        assert!(parse(&whole[..whole.len() - 1], "|i1").is_err(), "cut off");
        assert!(parse(&whole, "<f4").is_err(), "of another type");
        assert!(parse(&file(&head.replace("False", "True"), &[0; 6]), "|i1").is_err(), "columns first");
        assert!(parse(b"NUMPY", "|i1").is_err(), "no such file");
    }
}
