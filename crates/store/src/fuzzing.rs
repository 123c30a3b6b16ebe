//! For the fuzz targets: bytes to the decoders of files, with the checksum made to fit, so that what lies behind it is reached.

use crate::{checkpoint, frame, wire};

/// Bytes as a frame of the journal. What decodes means the same when it is written again.
pub fn frame(bytes: &[u8]) {
    let mut bytes = bytes.to_vec();
    let _ = frame::decode(&bytes);
    let _ = frame::find(&bytes, 0, 0);
    if let Some((head, rest)) = bytes.split_at_mut_checked(frame::HEADER_BYTES) {
        let (summed, crc) = head.split_at_mut(frame::SUMMED_BYTES);
        let length = summed.get(4..8).and_then(|field| field.try_into().ok()).map_or(0, u32::from_be_bytes);
        let payload = rest.get(..length as usize).unwrap_or(rest);
        crc.copy_from_slice(&wire::crc32(&[summed, payload]).to_be_bytes());
    }
    if let Some((read, length)) = frame::decode(&bytes) {
        let batches = read.batches();
        let slices = batches.iter().map(Vec::as_slice);
        let (written, _) = frame::encode(read.chain, read.first, read.digest, slices);
        let (again, _) = frame::decode(&written).expect("our own bytes decode");
        assert_eq!((again.first, again.batches()), (read.first, batches));
        assert_eq!(bytes.get(..length), Some(written.as_slice()), "one form only");
        assert!(read.last() >= read.first);
        read.effects().for_each(drop);
    }
}

/// Bytes as a checkpoint.
pub fn checkpoint(bytes: &[u8]) {
    let _ = checkpoint::decode(bytes);
    let mut whole = bytes.to_vec();
    whole.extend_from_slice(&wire::crc32(&[bytes]).to_be_bytes());
    if let Ok(state) = checkpoint::decode(&whole) {
        assert!(state.records.len() <= bytes.len());
    }
}

/// A frame and a checkpoint's body as they are written, for seeds.
pub fn seeds() -> Vec<(&'static str, Vec<u8>)> {
    let change = |key: &[u8], value: Option<&[u8]>| crate::Change {
        table: crate::Table::Leases,
        key: key.to_vec(),
        value: value.map(<[u8]>::to_vec),
    };
    let batches = [vec![change(b"one", Some(b"{}")), change(b"two", None)], vec![change(b"", Some(b""))]];
    let (frame, _) = frame::encode(7, 1, 9, batches.iter().map(Vec::as_slice));
    vec![("frame", frame)]
}
