//! The screen of a domain: eight bars from a test card, in grey while it is suspended.

use png::{BitDepth, ColorType, Encoder};

use crate::driver::Picture;
use crate::failure::{Code, Failure, Reply};
use crate::messages::RunState;

const WIDTH: u16 = 320;
const HEIGHT: u16 = 200;
/// Two pixels of four bits each lie in a byte.
const ROW: usize = WIDTH as usize / 2;
const BARS: usize = 8;
/// Red, green and blue of the bars, the brightest first.
const COLOURS: [[u8; 3]; BARS] =
    [[255, 255, 255], [255, 255, 0], [0, 255, 255], [0, 255, 0], [255, 0, 255], [255, 0, 0], [0, 0, 255], [0, 0, 0]];

/// The screen of the domain with this id. The bars of the next one begin with another colour.
pub(super) fn picture(id: i32, runstate: RunState) -> Reply<Picture> {
    let first = usize::try_from(id).unwrap_or_default() % BARS;
    let palette: Vec<u8> = (first..first + BARS).flat_map(|bar| colour(bar % BARS, runstate)).collect();
    let row = (0..ROW).map(|pixels| (pixels * BARS / ROW) as u8 * 0x11);
    let pixels = row.collect::<Vec<u8>>().repeat(HEIGHT.into());
    let bytes = encode(palette, &pixels)
        .map_err(|error| Failure::new(Code::InternalError, format!("cannot draw the screen: {error}")))?;
    Ok(Picture { mime: "image/png".to_owned(), bytes })
}

fn colour(bar: usize, runstate: RunState) -> [u8; 3] {
    match runstate {
        RunState::Running => COLOURS[bar],
        RunState::Paused | RunState::Stopped => [255 - (bar * 255 / (BARS - 1)) as u8; 3],
    }
}

fn encode(palette: Vec<u8>, pixels: &[u8]) -> Result<Vec<u8>, png::EncodingError> {
    let mut bytes = Vec::new();
    let mut encoder = Encoder::new(&mut bytes, WIDTH.into(), HEIGHT.into());
    encoder.set_color(ColorType::Indexed);
    encoder.set_depth(BitDepth::Four);
    encoder.set_palette(palette);
    let mut writer = encoder.write_header()?;
    writer.write_image_data(pixels)?;
    writer.finish()?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use png::{Decoder, Transformations};

    use super::*;

    /// Width, height, and the colours in the middle of each bar, as any viewer sees them.
    fn seen(id: i32, runstate: RunState) -> (u32, u32, Vec<[u8; 3]>) {
        let picture = picture(id, runstate).unwrap();
        assert_eq!(picture.mime, "image/png");
        let mut decoder = Decoder::new(Cursor::new(picture.bytes));
        decoder.set_transformations(Transformations::EXPAND);
        let mut reader = decoder.read_info().unwrap();
        let mut pixels = vec![0; reader.output_buffer_size().unwrap()];
        let info = reader.next_frame(&mut pixels).unwrap();
        let (width, height) = (info.width as usize, info.height as usize);
        let (pixels, _) = pixels.as_chunks::<3>();
        let middle = &pixels[width * (height / 2)..][..width];
        assert_eq!(pixels.chunks(width).filter(|row| *row != middle).count(), 0, "all rows are the same");
        let bars = (0..BARS).map(|bar| middle[width / BARS * bar + width / BARS / 2]).collect();
        (info.width, info.height, bars)
    }

    #[test]
    fn a_running_domain_shows_the_colours_of_a_test_card() {
        assert_eq!(seen(8, RunState::Running), (320, 200, COLOURS.to_vec()));
    }

    #[test]
    fn the_screens_of_two_domains_differ() {
        assert_ne!(seen(1, RunState::Running), seen(2, RunState::Running));
        assert_eq!(seen(2, RunState::Running).2[0], COLOURS[2]);
    }

    #[test]
    fn a_suspended_domain_is_grey() {
        let (.., bars) = seen(3, RunState::Paused);
        assert!(bars.iter().all(|[red, green, blue]| red == green && green == blue), "{bars:?}");
        assert_ne!(bars[0], bars[1]);
    }
}
