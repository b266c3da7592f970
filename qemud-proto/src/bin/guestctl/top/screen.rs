//! The terminal: a screen of its own, which is gone when the program ends, and what the user presses.

use std::io::{self, Stdout, Write, stdout};
use std::pin::Pin;

use crossterm::cursor::{Hide, MoveTo, Show};
use crossterm::event::{self, Event, KeyCode, KeyEvent, KeyEventKind, KeyModifiers};
use crossterm::style::Print;
use crossterm::terminal::{
    Clear, ClearType, DisableLineWrap, EnableLineWrap, EnterAlternateScreen, LeaveAlternateScreen, disable_raw_mode,
    enable_raw_mode, size,
};
use crossterm::{execute, queue};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;

use super::Order;

/// What the user, or the system, wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Asked {
    End,
    /// Another look, now.
    Look,
    Order(Order),
    /// The same once more: the terminal has another size.
    Draw,
}

/// The terminal, as long as it shows the table.
pub(super) struct Screen {
    asked: mpsc::Receiver<Asked>,
    ended: Pin<Box<dyn Future<Output = ()>>>,
    _terminal: Terminal,
}

/// Gives the terminal back as it was, however the program ends.
struct Terminal;

impl Drop for Terminal {
    fn drop(&mut self) {
        // Nobody is left to be told.
        let _ = execute!(stdout(), EnableLineWrap, Show, LeaveAlternateScreen);
        let _ = disable_raw_mode();
    }
}

impl Screen {
    pub(super) fn open() -> io::Result<Self> {
        let ended = signals()?;
        enable_raw_mode()?;
        let terminal = Terminal;
        execute!(stdout(), EnterAlternateScreen, Hide, DisableLineWrap)?;
        Ok(Self { asked: keys(), ended, _terminal: terminal })
    }

    /// Shows this in the place of what was shown; what does not fit is cut off.
    pub(super) fn draw(&mut self, text: &str) -> io::Result<()> {
        let (_, height) = size()?;
        let mut out: Stdout = stdout();
        for (row, line) in (0..height).zip(text.lines()) {
            queue!(out, MoveTo(0, row), Print(line), Clear(ClearType::UntilNewLine))?;
        }
        let rows = u16::try_from(text.lines().count()).unwrap_or(u16::MAX);
        if rows < height {
            queue!(out, MoveTo(0, rows), Clear(ClearType::FromCursorDown))?;
        }
        out.flush()
    }

    /// The next thing that is asked for.
    pub(super) async fn asked(&mut self) -> Asked {
        tokio::select! {
            () = &mut self.ended => Asked::End,
            // Where no more keys can be read, the terminal is gone.
            asked = self.asked.recv() => asked.unwrap_or(Asked::End),
        }
    }

    /// Waits until the user wants to leave; all else is forgotten.
    pub(super) async fn until_end(&mut self) {
        while self.asked().await != Asked::End {}
    }
}

/// Ends with the first signal that would end the program.
fn signals() -> io::Result<Pin<Box<dyn Future<Output = ()>>>> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut hangup = signal(SignalKind::hangup())?;
    Ok(Box::pin(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
            _ = hangup.recv() => {}
        }
    }))
}

/// Reads keys in a thread of its own, which waits for the next one when the program ends, and ends with it.
fn keys() -> mpsc::Receiver<Asked> {
    let (sender, asked) = mpsc::channel(1);
    std::thread::spawn(move || {
        while let Ok(event) = event::read() {
            if let Some(asked) = meaning(&event)
                && sender.blocking_send(asked).is_err()
            {
                return;
            }
        }
    });
    asked
}

fn meaning(event: &Event) -> Option<Asked> {
    match event {
        Event::Resize(..) => Some(Asked::Draw),
        Event::Key(KeyEvent { code, modifiers, kind: KeyEventKind::Press, .. }) => match code {
            KeyCode::Char('c') if modifiers.contains(KeyModifiers::CONTROL) => Some(Asked::End),
            KeyCode::Char('q' | 'Q') | KeyCode::Esc => Some(Asked::End),
            KeyCode::Char(' ') | KeyCode::Enter => Some(Asked::Look),
            // As top has them.
            KeyCode::Char('P') => Some(Asked::Order(Order::Cpu)),
            KeyCode::Char('M') => Some(Asked::Order(Order::Memory)),
            KeyCode::Char('N') => Some(Asked::Order(Order::Name)),
            KeyCode::Char('I') => Some(Asked::Order(Order::Id)),
            _ => None,
        },
        _ => None,
    }
}
