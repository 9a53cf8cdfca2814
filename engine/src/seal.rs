//! How are bytes sealed, so that only the holder of a partition's key reads them, and only in their place?
//!
//! The one room that encrypts and signs. A [`Key`] never seals anything itself: for each file (its random salt) and
//! purpose it yields a [`Cipher`] of its own, by HKDF-SHA-256. A cipher seals with AES-256-GCM; the nonce is
//! the position in the file, and the [`Place`] is authenticated, so sealed bytes that are moved to another
//! position, file or partition don't open.
//!
//! Invariants:
//! 1. A cipher never seals twice at one position: salts are random for each file, a file is never appended
//!    to after a reopen, and positions count within it.
//! 2. Keys and expanded ciphers are zeroized when dropped, and never printed.

use crate::io::Entropy;
use aes_gcm::aead::{Aead, Payload};
use aes_gcm::{Aes256Gcm, KeyInit};
use ed25519_dalek::{Signature, Signer as _, SigningKey, VerifyingKey};
use hkdf::Hkdf;
use hmac::{Hmac, Mac};
use sha2::Sha256;
use std::fmt;
use strongroom_format::FORMAT_VERSION;
use zeroize::{Zeroize, Zeroizing};

/// Whether this build seals nothing: bytes are copied, the tag is zeros and isn't checked. No feature turns it
/// on, only the compiler's flag that the benchmark of the cipher's cost sets. What such a build wrote doesn't
/// open in any other, since its tags don't check there.
const NULL_CIPHER: bool = cfg!(strongroom_null_cipher);

/// How long the tag behind sealed bytes is.
const TAG_BYTES: usize = 16;

/// A 256-bit key: the root's, a workspace's or a partition's.
#[derive(Clone)]
pub struct Key(Zeroizing<[u8; 32]>);

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key(…)")
    }
}

/// What a subkey is for. Two purposes never share one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// Sealing a key under the one above it.
    ChildKey,
    /// Records of a log file.
    Log,
    /// Blocks of a segment.
    Segment,
    /// A partition's identity in the manifest.
    Identity,
    /// Signing receipts: the seed of a [`Signer`].
    Receipts,
    /// A workspace's secrets that its host keeps.
    Secret,
    /// Notes of a partition that the host keeps.
    Note,
}

impl Purpose {
    fn info(self) -> &'static [u8] {
        match self {
            Self::ChildKey => b"strongroom 1 child key",
            Self::Log => b"strongroom 1 log",
            Self::Segment => b"strongroom 1 segment",
            Self::Identity => b"strongroom 1 identity",
            Self::Receipts => b"strongroom 1 receipts",
            Self::Secret => b"strongroom 1 secret",
            Self::Note => b"strongroom 1 note",
        }
    }
}

/// Where sealed bytes lie: authenticated together with them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// Whose.
    pub incarnation: [u8; 16],
    /// In which file (its random id).
    pub file_id: [u8; 16],
    /// Where in the file: the record's number, the block's offset, the slot.
    pub position: u64,
    /// What it is there: a record's kind; 0 elsewhere.
    pub kind: u8,
}

impl Place {
    fn bytes(&self) -> [u8; 45] {
        let mut bytes = [0; 45];
        bytes[..16].copy_from_slice(&self.incarnation);
        bytes[16..32].copy_from_slice(&self.file_id);
        bytes[32..40].copy_from_slice(&self.position.to_le_bytes());
        bytes[40] = self.kind;
        bytes[41..].copy_from_slice(&FORMAT_VERSION.to_le_bytes());
        bytes
    }
}

/// The bytes don't open: another key's, moved, or tampered with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("sealed bytes do not open under this key at this place")]
pub struct Unsealable;

impl Key {
    /// A key of these bytes.
    pub fn from_bytes(mut bytes: [u8; 32]) -> Self {
        let key = Self(Zeroizing::new(bytes));
        bytes.zeroize();
        key
    }

    /// A fresh key.
    pub fn random(entropy: &dyn Entropy) -> Self {
        let mut bytes = Zeroizing::new([0; 32]);
        entropy.fill(bytes.as_mut());
        Self(bytes)
    }

    /// The subkey for a file and purpose, ready to seal and open.
    pub fn cipher(&self, salt: &[u8; 16], purpose: Purpose) -> Cipher {
        let subkey = self.subkey(salt, purpose);
        Cipher(Aes256Gcm::new_from_slice(subkey.as_ref()).expect("the key has 32 bytes"))
    }

    fn subkey(&self, salt: &[u8; 16], purpose: Purpose) -> Zeroizing<[u8; 32]> {
        let mut subkey = Zeroizing::new([0; 32]);
        Hkdf::<Sha256>::new(Some(salt), self.0.as_ref())
            .expand(purpose.info(), subkey.as_mut())
            .expect("HKDF yields 32 bytes");
        subkey
    }

    /// A keyed hash: names something without telling it.
    pub fn keyed_hash(&self, what: &[u8]) -> [u8; 32] {
        let mut mac = <Hmac<Sha256> as KeyInit>::new_from_slice(self.0.as_ref()).expect("HMAC takes any key");
        mac.update(what);
        mac.finalize().into_bytes().into()
    }

    /// Names a partition of the workspace whose key this is: the first half of the keyed hash of its name.
    /// No two pairs of collection and partition give the same bytes to hash; the default partition (`None`)
    /// is another than the one whose name is empty.
    pub fn name_tag(&self, collection: &str, partition: Option<&str>) -> [u8; 16] {
        let length = u32::try_from(collection.len()).expect("limits keep names far below 4 GiB");
        let mut what = b"strongroom 1 name".to_vec();
        what.extend_from_slice(&length.to_le_bytes());
        what.extend_from_slice(collection.as_bytes());
        what.push(u8::from(partition.is_some()));
        what.extend_from_slice(partition.unwrap_or_default().as_bytes());
        first_half(self.keyed_hash(&what))
    }

    /// What opens and seals the keys below this one. Deriving it costs far more than a use of it, so who
    /// opens many keys takes it once.
    pub fn opener(&self) -> KeyOpener {
        KeyOpener(self.cipher(&[0; 16], Purpose::ChildKey))
    }

    /// What signs receipts: the same for the same root key, so that they can be verified for as long as it
    /// is in use, and after.
    pub fn signer(&self) -> Signer {
        Signer(SigningKey::from_bytes(&self.subkey(&[0; 16], Purpose::Receipts)))
    }

    /// Seals another key under this one, with a nonce that was never used with it.
    pub fn seal_key(&self, child: &Key, place: Place, nonce: [u8; 12]) -> [u8; 48] {
        self.opener().seal_key(child, place, nonce)
    }

    /// Opens a key that [`Key::seal_key`] sealed.
    pub fn open_key(&self, sealed: &[u8; 48], place: Place, nonce: [u8; 12]) -> Result<Key, Unsealable> {
        self.opener().open_key(sealed, place, nonce)
    }
}

/// Tells keys apart without telling them: a receipt names the key that was destroyed by it.
pub fn fingerprint(key: &Key) -> [u8; 16] {
    first_half(key.keyed_hash(b"strongroom 1 fingerprint"))
}

fn first_half(hash: [u8; 32]) -> [u8; 16] {
    let mut half = [0; 16];
    half.copy_from_slice(&hash[..16]);
    half
}

/// Opens and seals the keys below one key: its subkey, expanded once.
pub struct KeyOpener(Cipher);

impl fmt::Debug for KeyOpener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KeyOpener(…)")
    }
}

impl KeyOpener {
    /// Seals a key with a nonce that was never used with the key above.
    pub fn seal_key(&self, child: &Key, place: Place, nonce: [u8; 12]) -> [u8; 48] {
        let mut bytes = [0; 48];
        bytes.copy_from_slice(&self.0.seal_at(nonce, place, child.0.as_ref()));
        bytes
    }

    /// Opens a key that [`KeyOpener::seal_key`] sealed.
    pub fn open_key(&self, sealed: &[u8; 48], place: Place, nonce: [u8; 12]) -> Result<Key, Unsealable> {
        let bytes = Zeroizing::new(self.0.open_at(nonce, place, sealed)?);
        let mut key = Zeroizing::new([0; 32]);
        key.copy_from_slice(&bytes);
        Ok(Key(key))
    }
}

/// Signs receipts with Ed25519. Its secret is zeroized when dropped.
pub struct Signer(SigningKey);

impl fmt::Debug for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Signer(…)")
    }
}

impl Signer {
    /// What [`verify`] needs.
    pub fn public_key(&self) -> [u8; 32] {
        self.0.verifying_key().to_bytes()
    }

    /// The signature of a message.
    pub fn sign(&self, message: &[u8]) -> [u8; 64] {
        self.0.sign(message).to_bytes()
    }
}

/// Whether the holder of this public key signed the message. Strict: weak public keys and signatures in more
/// than one spelling are refused, so a signature stands for one message under one key.
pub fn verify(public_key: &[u8; 32], message: &[u8], signature: &[u8; 64]) -> bool {
    VerifyingKey::from_bytes(public_key)
        .is_ok_and(|key| key.verify_strict(message, &Signature::from_bytes(signature)).is_ok())
}

/// Seals and opens for one key, file and purpose.
pub struct Cipher(Aes256Gcm);

impl fmt::Debug for Cipher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Cipher(…)")
    }
}

impl Cipher {
    /// Seals `plain`; the nonce is `number`, which counts within the file.
    pub fn seal(&self, number: u64, place: Place, plain: &[u8]) -> Vec<u8> {
        self.seal_at(counting(number), place, plain)
    }

    /// Opens what [`Cipher::seal`] sealed with the same number at the same place.
    pub fn open(&self, number: u64, place: Place, sealed: &[u8]) -> Result<Vec<u8>, Unsealable> {
        self.open_at(counting(number), place, sealed)
    }

    fn seal_at(&self, nonce: [u8; 12], place: Place, plain: &[u8]) -> Vec<u8> {
        if NULL_CIPHER {
            return [plain, &[0; TAG_BYTES]].concat();
        }
        let payload = Payload { msg: plain, aad: &place.bytes() };
        self.0.encrypt(&nonce.into(), payload).expect("limits keep texts far below the cipher's")
    }

    fn open_at(&self, nonce: [u8; 12], place: Place, sealed: &[u8]) -> Result<Vec<u8>, Unsealable> {
        if NULL_CIPHER {
            let bytes = sealed.len().checked_sub(TAG_BYTES).ok_or(Unsealable)?;
            return Ok(sealed[..bytes].to_vec());
        }
        let payload = Payload { msg: sealed, aad: &place.bytes() };
        self.0.decrypt(&nonce.into(), payload).map_err(|_| Unsealable)
    }
}

fn counting(number: u64) -> [u8; 12] {
    let mut nonce = [0; 12];
    nonce[..8].copy_from_slice(&number.to_le_bytes());
    nonce
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    const PLACE: Place = Place { incarnation: [1; 16], file_id: [2; 16], position: 3, kind: 4 };

    /// Without this, bytes of one partition moved into another's place would be served there.
    #[test]
    fn sealed_bytes_open_only_with_their_key_in_their_place() {
        let key = Key::from_bytes([7; 32]);
        let cipher = key.cipher(&[5; 16], Purpose::Log);
        let sealed = cipher.seal(9, PLACE, b"text");
        assert_eq!(cipher.open(9, PLACE, &sealed).as_deref(), Ok(&b"text"[..]));
        for place in [
            Place { incarnation: [9; 16], ..PLACE },
            Place { file_id: [9; 16], ..PLACE },
            Place { position: 9, ..PLACE },
            Place { kind: 9, ..PLACE },
        ] {
            assert_eq!(cipher.open(9, place, &sealed), Err(Unsealable));
        }
        assert_eq!(cipher.open(8, PLACE, &sealed), Err(Unsealable));
        for other in [
            key.cipher(&[6; 16], Purpose::Log),
            key.cipher(&[5; 16], Purpose::Segment),
            Key::from_bytes([8; 32]).cipher(&[5; 16], Purpose::Log),
        ] {
            assert_eq!(other.open(9, PLACE, &sealed), Err(Unsealable));
        }
    }

    /// Without this, a customer's log line or manifest entry would name another partition, or tell the name.
    #[test]
    fn names_give_tags_that_only_their_workspace_gives() {
        let key = Key::from_bytes([7; 32]);
        let mut hash = b"strongroom 1 name\x05\0\0\0notes\x01alice".to_vec();
        assert_eq!(key.name_tag("notes", Some("alice")), key.keyed_hash(&hash)[..16]);
        hash.truncate(hash.len() - 6);
        hash.push(0);
        assert_eq!(key.name_tag("notes", None), key.keyed_hash(&hash)[..16]);
        let tags = [
            key.name_tag("notes", None),
            key.name_tag("notes", Some("")),
            key.name_tag("notes", Some("alice")),
            key.name_tag("note", Some("salice")),
            Key::from_bytes([8; 32]).name_tag("notes", Some("alice")),
        ];
        assert_eq!(tags.iter().collect::<std::collections::BTreeSet<_>>().len(), tags.len());
    }

    /// Without this, keys would have to be derived anew for each of a hundred thousand partitions at open.
    #[test]
    fn an_opener_opens_what_its_key_sealed() {
        let key = Key::from_bytes([7; 32]);
        let child = Key::from_bytes([8; 32]);
        let sealed = key.seal_key(&child, PLACE, [1; 12]);
        assert_eq!(sealed, key.opener().seal_key(&child, PLACE, [1; 12]));
        let opened = key.opener().open_key(&sealed, PLACE, [1; 12]).unwrap();
        assert_eq!(fingerprint(&opened), fingerprint(&child));
        assert_ne!(fingerprint(&key), fingerprint(&child));
        assert!(child.opener().open_key(&sealed, PLACE, [1; 12]).is_err());
        assert!(key.opener().open_key(&sealed, Place { position: 9, ..PLACE }, [1; 12]).is_err());
    }

    /// Without this, a receipt could be forged or altered, or would stop verifying when the server restarts.
    #[test]
    fn a_signature_holds_for_its_message_and_key_alone() {
        let signer = Key::from_bytes([7; 32]).signer();
        let (public_key, signature) = (signer.public_key(), signer.sign(b"erased"));
        assert!(verify(&public_key, b"erased", &signature));
        assert!(!verify(&public_key, b"erasee", &signature));
        assert_eq!(Key::from_bytes([7; 32]).signer().public_key(), public_key);
        let other = Key::from_bytes([8; 32]).signer();
        assert!(!verify(&other.public_key(), b"erased", &signature));
        for byte in 0..64 {
            let mut altered = signature;
            altered[byte] ^= 1;
            assert!(!verify(&public_key, b"erased", &altered), "byte {byte} counts");
        }
        // A key of small order, under which one signature would fit many messages.
        let (mut weak, mut any) = ([0; 32], [0; 64]);
        weak[0] = 1;
        any[0] = 1;
        assert!(!verify(&weak, b"erased", &any));
    }

    /// Without this, a log line would hand out a customer's key.
    #[test]
    fn keys_are_never_printed() {
        let key = Key::from_bytes([0xab; 32]);
        let told =
            format!("{key:?} {:?} {:?} {:?}", key.cipher(&[0; 16], Purpose::Log), key.opener(), key.signer());
        assert_eq!(told, "Key(…) Cipher(…) KeyOpener(…) Signer(…)");
    }
}
