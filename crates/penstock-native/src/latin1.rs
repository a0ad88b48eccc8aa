//! PEP 3333's native strings: each character is one byte. Text that Python gives is refused where it is not.
use crate::static_files::percent_decoded;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::PyString;
use std::borrow::Cow;

/// Bytes as a string of as many characters.
#[inline]
pub fn decode<'py>(py: Python<'py>, bytes: &[u8]) -> Bound<'py, PyString> {
    match std::str::from_utf8(bytes) {
        Ok(text) if bytes.is_ascii() => PyString::new(py, text),
        _ => PyString::new(py, &bytes.iter().map(|byte| char::from(*byte)).collect::<String>()),
    }
}

/// The same after `%41` has become `A`; what is not two hexadecimal digits stays as it is.
#[inline]
pub fn decode_percent<'py>(py: Python<'py>, bytes: &[u8]) -> Bound<'py, PyString> {
    decode(py, &percent_decoded(bytes))
}

/// The bytes of a native string. ValueError when a character is none.
#[inline]
pub fn encode<'a>(text: &'a Bound<'_, PyString>) -> PyResult<Cow<'a, [u8]>> {
    let utf8 = text.to_str()?;
    if utf8.is_ascii() {
        return Ok(Cow::Borrowed(utf8.as_bytes()));
    }
    let bytes: Option<Vec<u8>> = utf8.chars().map(|character| u8::try_from(u32::from(character)).ok()).collect();
    bytes.map(Cow::Owned).ok_or_else(|| {
        PyValueError::new_err(format!(
            "{utf8:?} has a character that is not in latin-1; PEP 3333 asks for native strings"
        ))
    })
}
