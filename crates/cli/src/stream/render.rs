//! A message as it is put on standard output.

use crate::stream::framing::Framing;
use crate::stream::layout::Layout;

/// How messages are written.
#[derive(Clone, Debug)]
pub struct Render {
    pub framing: Framing,
    pub layout: Layout,
    /// Nothing of a message may reach a terminal unescaped.
    pub is_terminal: bool,
}

impl Render {
    /// Appends a message.
    pub fn write(&self, out: &mut Vec<u8>, message: &[u8]) -> Result<(), String> {
        if self.is_terminal {
            self.layout.write(message, true, out);
            out.push(b'\n');
            return Ok(());
        }
        self.framing.write(out, |out| self.layout.write(message, false, out))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_terminal_gets_escapes() {
        let mut render =
            Render { framing: Framing::EndedBy(0), layout: Layout::Text, is_terminal: false };
        let mut out = Vec::new();
        render.write(&mut out, b"\x1b[2J\n").expect("written");
        assert_eq!(out, b"\x1b[2J\n\0");
        render.is_terminal = true;
        out.clear();
        render.write(&mut out, b"\x1b[2J\n").expect("written");
        assert_eq!(out, b"\\u{1b}[2J\\n\n");
    }
}
