//! Buffers of a connection's thread. An idle connection must not keep much memory.

/// Largest buffer that a connection's thread keeps for its next request.
const KEPT_BUFFER: usize = 16 * 1024;

/// Buffers that a connection's thread reuses for its next request.
#[derive(Debug, Default)]
pub struct Buffers {
    pub(super) body: Vec<u8>,
    pub(super) point: Vec<u8>,
    /// The answer. It is not shrunk, because its size is the operator's choice, not the client's.
    pub out: Vec<u8>,
}

impl Buffers {
    /// Frees buffers that a large request made large: each of a thousand idle connections would keep them.
    pub(super) fn shrink(&mut self) {
        for buffer in [&mut self.body, &mut self.point] {
            if buffer.capacity() > KEPT_BUFFER {
                *buffer = Vec::new();
            }
        }
    }
}
