//! GGUF files put together by tests.

/// Bytes of a GGUF file, put together by the tests.
#[derive(Clone)]
pub(crate) struct Gguf {
    pub(crate) version: u32,
    pub(crate) n_tensors: Option<u64>,
    pub(crate) n_meta: Option<u64>,
    pub(crate) meta: Vec<(String, u32, Vec<u8>)>,
    pub(crate) tensors: Vec<(String, Vec<u64>, u32, u64)>,
    pub(crate) alignment: usize,
    pub(crate) data: Vec<u8>,
}

impl Gguf {
    /// An F32 matrix `a: [2, 3]` and a Q8_0 vector `b: [32]`.
    pub(crate) fn sound() -> Self {
        let mut data: Vec<u8> = (0..6).flat_map(|i| (i as f32 + 0.5).to_le_bytes()).collect();
        data.resize(32, 0);
        data.extend([0x00, 0x38]); // 0.5
        data.extend((0..32).map(|i| (i - 16) as u8));
        Self {
            version: 3,
            n_tensors: None,
            n_meta: None,
            meta: vec![("answer".into(), 4, 42u32.to_le_bytes().into())],
            tensors: vec![("a".into(), vec![3, 2], 0, 0), ("b".into(), vec![32], 8, 32)],
            alignment: 32,
            data,
        }
    }

    pub(crate) fn bytes(&self) -> Vec<u8> {
        let mut out = b"GGUF".to_vec();
        out.extend(self.version.to_le_bytes());
        out.extend(self.n_tensors.unwrap_or(self.tensors.len() as u64).to_le_bytes());
        out.extend(self.n_meta.unwrap_or(self.meta.len() as u64).to_le_bytes());
        for (key, kind, value) in &self.meta {
            out.extend(text(key));
            out.extend(kind.to_le_bytes());
            out.extend(value);
        }
        for (name, sizes, kind, offset) in &self.tensors {
            out.extend(text(name));
            out.extend((sizes.len() as u32).to_le_bytes());
            sizes.iter().for_each(|size| out.extend(size.to_le_bytes()));
            out.extend(kind.to_le_bytes());
            out.extend(offset.to_le_bytes());
        }
        out.resize(out.len().next_multiple_of(self.alignment), 0);
        out.extend(&self.data);
        out
    }

    pub(crate) fn with(&self, change: impl Fn(&mut Self)) -> Vec<u8> {
        let mut copy = self.clone();
        change(&mut copy);
        copy.bytes()
    }
}

/// A text as GGUF has it: its length, then its bytes.
pub(crate) fn text(text: &str) -> Vec<u8> {
    [&(text.len() as u64).to_le_bytes(), text.as_bytes()].concat()
}
