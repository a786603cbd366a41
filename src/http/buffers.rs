//! Memory that a connection's thread keeps.

/// Bytes of a buffer that a connection's thread keeps for the next request at most.
const KEPT_BUFFER: usize = 16 * 1024;

/// Buffers that a connection's thread reuses for its next request.
#[derive(Debug, Default)]
pub struct Buffers {
    pub(super) body: Vec<u8>,
    pub(super) point: Vec<u8>,
    /// What is sent, which the operator chose.
    pub out: Vec<u8>,
}

impl Buffers {
    /// Gives back what a large request made them. Each of a thousand idle connections would keep it.
    pub(super) fn shrink(&mut self) {
        for buffer in [&mut self.body, &mut self.point] {
            if buffer.capacity() > KEPT_BUFFER {
                *buffer = Vec::new();
            }
        }
    }
}
