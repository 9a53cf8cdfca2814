//! How are bytes sealed, when one goes by `format-spec.md` alone?
//!
//! A second writing of what the engine's room `seal` does, for examples and golden files: neither knows of the
//! other, so a slip in one of them shows. Nothing here is used by the product. Section: "Keys and sealing".

use aes_gcm::aead::{Aead, Payload};
use aes_gcm::{Aes256Gcm, KeyInit};
use ed25519_dalek::{Signature, Signer, SigningKey, VerifyingKey};
use hkdf::Hkdf;
use hmac::{Hmac, Mac};
use sha2::{Digest, Sha256};

/// A key, a subkey's salt, and what for: the column `info` of the document.
#[derive(Debug, Clone, Copy)]
pub struct Subkey<'a> {
    /// Root's, a workspace's or a partition's.
    pub key: &'a [u8; 32],
    /// As the document says for this purpose.
    pub salt: [u8; 16],
    /// As the document says for this purpose.
    pub info: &'a str,
}

impl Subkey<'_> {
    /// HKDF-SHA-256.
    pub fn bytes(&self) -> [u8; 32] {
        let mut subkey = [0; 32];
        let hkdf = Hkdf::<Sha256>::new(Some(&self.salt), self.key);
        hkdf.expand(self.info.as_bytes(), &mut subkey).expect("HKDF yields 32 bytes");
        subkey
    }

    /// AES-256-GCM, the tag behind the ciphertext.
    pub fn seal(&self, nonce: [u8; 12], authenticated: &[u8], plain: &[u8]) -> Vec<u8> {
        let cipher = Aes256Gcm::new_from_slice(&self.bytes()).expect("32 bytes");
        cipher
            .encrypt(&nonce.into(), Payload { msg: plain, aad: authenticated })
            .expect("short texts are sealed")
    }

    /// What [`Subkey::seal`] sealed; `None` when anything was changed.
    pub fn open(&self, nonce: [u8; 12], authenticated: &[u8], sealed: &[u8]) -> Option<Vec<u8>> {
        let cipher = Aes256Gcm::new_from_slice(&self.bytes()).expect("32 bytes");
        cipher.decrypt(&nonce.into(), Payload { msg: sealed, aad: authenticated }).ok()
    }
}

/// The 45 bytes that are authenticated beside a sealed text.
pub fn authenticated(incarnation: [u8; 16], file_id: [u8; 16], position: u64, kind: u8) -> Vec<u8> {
    [&incarnation[..], &file_id, &position.to_le_bytes(), &[kind], &1_u32.to_le_bytes()].concat()
}

/// A counting nonce.
pub fn counting(number: u64) -> [u8; 12] {
    let mut nonce = [0; 12];
    nonce[..8].copy_from_slice(&number.to_le_bytes());
    nonce
}

/// The first 16 bytes of HMAC-SHA-256.
pub fn keyed_hash(key: &[u8; 32], text: &[u8]) -> [u8; 16] {
    let mut mac = <Hmac<Sha256> as KeyInit>::new_from_slice(key).expect("HMAC takes any key");
    mac.update(text);
    let mut half = [0; 16];
    half.copy_from_slice(&mac.finalize().into_bytes()[..16]);
    half
}

/// What the keyed hash of a name is made of.
pub fn name_text(collection: &str, partition: Option<&str>) -> Vec<u8> {
    let length = u32::try_from(collection.len()).expect("a short name").to_le_bytes();
    let named = [u8::from(partition.is_some())];
    let partition = partition.unwrap_or_default().as_bytes();
    [&b"strongroom 1 name"[..], &length, collection.as_bytes(), &named, partition].concat()
}

/// SHA-256.
pub fn digest(text: &[u8]) -> [u8; 32] {
    Sha256::digest(text).into()
}

/// The Ed25519 key of this seed, and its signature of a message.
pub fn sign(seed: &[u8; 32], message: &[u8]) -> ([u8; 32], [u8; 64]) {
    let key = SigningKey::from_bytes(seed);
    (key.verifying_key().to_bytes(), key.sign(message).to_bytes())
}

/// Whether the holder of this public key signed the message.
pub fn verify(public_key: &[u8; 32], message: &[u8], signature: &[u8; 64]) -> bool {
    VerifyingKey::from_bytes(public_key)
        .is_ok_and(|key| key.verify_strict(message, &Signature::from_bytes(signature)).is_ok())
}
