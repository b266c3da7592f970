//! The display: who sees it, and the card that draws it.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use super::options::Options;
use super::{Board, CommandLine};
use crate::xml::DomainDefinition;
use crate::xml::devices::Graphics;

/// The port of VNC's display 0.
const VNC_PORT: u16 = 5900;

pub(super) fn add(line: &mut CommandLine, board: &Board<'_>, definition: &DomainDefinition) {
    let Some(graphics) = &definition.devices.graphics else {
        line.add("-display", "none");
        return;
    };
    match graphics {
        Graphics::Vnc { port, listen, keymap } => {
            let listen = listen.unwrap_or(IpAddr::V4(Ipv4Addr::LOCALHOST));
            // Written as addresses with ports are, but it is the display's number.
            let display = SocketAddr::new(listen, port.unwrap_or(VNC_PORT).saturating_sub(VNC_PORT));
            // QEMU looks for a free one, and its monitor tells which.
            let free = port.is_none().then(|| (u16::MAX - VNC_PORT).to_string());
            line.add("-display", "none");
            line.add("-vnc", Options::of(display.to_string()).with_some("to", free));
            if let Some(keymap) = keymap {
                line.add("-k", keymap);
            }
        }
        Graphics::Sdl { display, xauth } => {
            line.add("-display", "sdl");
            let variables = [("DISPLAY", display), ("XAUTHORITY", xauth)];
            let given = variables.into_iter().filter_map(|(name, value)| Some((name, value.as_ref()?.into())));
            line.environment.extend(given);
        }
    }
    let card = if board.is_pc() { "VGA" } else { "virtio-gpu-pci" };
    line.add("-device", Options::of(card).with("id", "video"));
}
