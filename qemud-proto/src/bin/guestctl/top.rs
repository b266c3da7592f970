//! The command `top`: the domains and what they use, again and again.

mod sample; // one look at the domains
mod screen; // the terminal, and what its user presses

use std::io::{self, IsTerminal};
use std::time::Duration;

use clap::ValueEnum;
use rpc_frame::tokio::Client;
use tokio::time::sleep;

use self::sample::{Sample, Sampler};
use self::screen::{Asked, Screen};
use crate::Error;
use crate::arguments::Top;
use crate::output::{Output, line};

/// Shortest time that a look gives domains to answer; else it is as long as that between two looks.
const PATIENCE: Duration = Duration::from_secs(1);

/// Why nothing is shown.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TopError {
    #[error("standard output is not a terminal; --batch prints tables without one")]
    NoTerminal,
    #[error("cannot use the terminal: {0}")]
    Terminal(#[source] io::Error),
}

/// What comes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Order {
    /// What uses most of the processors
    Cpu,
    /// What uses most memory
    Memory,
    /// The first name
    Name,
    /// The oldest id
    Id,
}

pub(crate) async fn top(client: &Client, output: &Output, top: &Top) -> Result<(), Error> {
    let sampler = Sampler::new(client, top.all, top.delay.max(PATIENCE)).await?;
    if top.batch || output.json {
        return batch(sampler, output, top).await;
    }
    if !io::stdout().is_terminal() {
        return Err(TopError::NoTerminal.into());
    }
    let mut screen = Screen::open().map_err(TopError::Terminal)?;
    live(sampler, output, top, &mut screen).await
}

/// Prints tables. The first look is not printed: it has no figures, since those are of the time between two looks.
async fn batch(mut sampler: Sampler<'_>, output: &Output, top: &Top) -> Result<(), Error> {
    sampler.look().await?;
    let mut printed = 0;
    while top.iterations.is_none_or(|iterations| printed < iterations) {
        sleep(top.delay).await;
        let sample = sampler.look().await?;
        match output.json {
            true => line(&sample.table(output, top.sort))?,
            false => line(&format!("{}\n{}\n", sample.summary(), sample.table(output, top.sort)))?,
        }
        printed += 1;
    }
    Ok(())
}

/// Draws until the user has seen enough. The first table is there at once, without figures.
async fn live(mut sampler: Sampler<'_>, output: &Output, top: &Top, screen: &mut Screen) -> Result<(), Error> {
    let mut order = top.sort;
    let mut drawn = 0;
    loop {
        // A daemon that does not answer keeps nobody from leaving.
        let sample = tokio::select! {
            sample = sampler.look() => sample?,
            () = screen.until_end() => return Ok(()),
        };
        draw(screen, output, order, &sample)?;
        drawn += 1;
        if top.iterations.is_some_and(|iterations| drawn >= iterations) {
            return Ok(());
        }
        let next = sleep(top.delay);
        tokio::pin!(next);
        loop {
            let asked = tokio::select! {
                () = &mut next => break,
                asked = screen.asked() => asked,
            };
            match asked {
                Asked::End => return Ok(()),
                Asked::Look => break,
                Asked::Order(other) => order = other,
                Asked::Draw => {}
            }
            draw(screen, output, order, &sample)?;
        }
    }
}

fn draw(screen: &mut Screen, output: &Output, order: Order, sample: &Sample) -> Result<(), Error> {
    let text = format!("{}\n\n{}", sample.summary(), sample.table(output, order));
    Ok(screen.draw(&text).map_err(TopError::Terminal)?)
}
