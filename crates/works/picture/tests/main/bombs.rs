//! Files made to take memory, time or the program. All must end in a clear error, and the process must stay small.

use image::ImageFormat;
use picture::{Error, Excess, Options};

use crate::samples::{self, KINDS, png_chunk, riff_chunk, webp};

/// The most memory this process ever had, where the system says so.
fn peak() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
    line.split_whitespace().nth(1)?.parse::<u64>().ok().map(|kilobytes| kilobytes * 1024)
}

/// A whole, valid PNG of black pixels.
fn black_png(width: u32, height: u32) -> Vec<u8> {
    let mut file = Vec::new();
    let mut encoder = png::Encoder::new(&mut file, width, height);
    encoder.set_color(png::ColorType::Grayscale);
    encoder.set_depth(png::BitDepth::One);
    let mut writer = encoder.write_header().expect("header");
    let mut stream = writer.stream_writer().expect("stream");
    let row = vec![0; width.div_ceil(8) as usize];
    for _ in 0..height {
        std::io::Write::write_all(&mut stream, &row).expect("row");
    }
    stream.finish().expect("end");
    drop(writer);
    file
}

fn png_header(width: u32, height: u32) -> Vec<u8> {
    let body = [&width.to_be_bytes()[..], &height.to_be_bytes(), &[8, 6, 0, 0, 0]].concat();
    [b"\x89PNG\r\n\x1a\n".to_vec(), png_chunk(b"IHDR", &body), png_chunk(b"IDAT", &[0x78, 1, 3, 0])].concat()
}

fn gif(screen: (u16, u16), frame: (u16, u16)) -> Vec<u8> {
    let mut file = b"GIF89a".to_vec();
    let mut number = |n: u16| file.extend_from_slice(&n.to_le_bytes());
    number(screen.0);
    number(screen.1);
    file.extend_from_slice(&[0x80, 0, 0, 0, 0, 0, 255, 255, 255]);
    file.extend_from_slice(&[0x2c, 0, 0, 0, 0]);
    file.extend_from_slice(&frame.0.to_le_bytes());
    file.extend_from_slice(&frame.1.to_le_bytes());
    file.extend_from_slice(&[0, 2, 2, 0x44, 1, 0, 0x3b]);
    file
}

/// A TIFF whose only directory names itself as the next.
fn tiff(width: u32, height: u32, strip_bytes: u32) -> Vec<u8> {
    let entries: [(u16, u16, u32); 9] = [
        (256, 4, width),
        (257, 4, height),
        (258, 3, 8),
        (259, 3, 1),
        (262, 3, 1),
        (273, 4, 8),
        (277, 3, 1),
        (278, 4, height),
        (279, 4, strip_bytes),
    ];
    let mut file = b"II\x2a\0\x08\0\0\0".to_vec();
    file.extend_from_slice(&(entries.len() as u16).to_le_bytes());
    for (tag, kind, value) in entries {
        file.extend_from_slice(&tag.to_le_bytes());
        file.extend_from_slice(&kind.to_le_bytes());
        file.extend_from_slice(&1_u32.to_le_bytes());
        file.extend_from_slice(&value.to_le_bytes());
    }
    file.extend_from_slice(&8_u32.to_le_bytes());
    file
}

fn bmp(width: i32, height: i32) -> Vec<u8> {
    let mut file = b"BM\x36\0\0\0\0\0\0\0\x36\0\0\0\x28\0\0\0".to_vec();
    file.extend_from_slice(&width.to_le_bytes());
    file.extend_from_slice(&height.to_le_bytes());
    file.extend_from_slice(&[1, 0, 24, 0]);
    file.extend_from_slice(&[0; 24]);
    file
}

fn ico(body: &[u8]) -> Vec<u8> {
    let mut file = vec![0, 0, 1, 0, 1, 0, 0, 0, 0, 0, 1, 0, 32, 0];
    file.extend_from_slice(&(body.len() as u32).to_le_bytes());
    file.extend_from_slice(&22_u32.to_le_bytes());
    file.extend_from_slice(body);
    file
}

fn jpeg(side: u16) -> Vec<u8> {
    let mut file = samples::file(&samples::halves(8, 8), ImageFormat::Jpeg);
    let at = file.windows(2).position(|w| w == [0xff, 0xc0]).expect("a frame header") + 5;
    file[at..at + 2].copy_from_slice(&side.to_be_bytes());
    file[at + 2..at + 4].copy_from_slice(&side.to_be_bytes());
    file
}

/// A canvas of VP8X with a frame inside that says another size.
fn webp_canvas(canvas: u32, frame: u16) -> Vec<u8> {
    let side = (canvas - 1).to_le_bytes();
    let canvas = [&[0, 0, 0, 0], &side[..3], &side[..3]].concat();
    let mut body = vec![0x10, 0, 0, 0x9d, 1, 0x2a];
    body.extend_from_slice(&frame.to_le_bytes());
    body.extend_from_slice(&frame.to_le_bytes());
    body.extend_from_slice(&[0; 64]);
    webp(&[riff_chunk(b"VP8X", &canvas), riff_chunk(b"VP8 ", &body)])
}

fn webp_lossless(side: u32) -> Vec<u8> {
    let bits = (side - 1) | ((side - 1) << 14);
    webp(&[riff_chunk(b"VP8L", &[&[0x2f][..], &bits.to_le_bytes(), &[0; 32]].concat())])
}

/// A chunk that claims four gigabytes.
fn webp_endless() -> Vec<u8> {
    let canvas = riff_chunk(b"VP8X", &[0x08, 0, 0, 0, 7, 0, 0, 7, 0, 0]);
    let mut file = webp(&[canvas, riff_chunk(b"EXIF", b"1234")]);
    let at = file.windows(4).position(|w| w == b"EXIF").expect("a chunk") + 4;
    file[at..at + 4].copy_from_slice(&[0xfe, 0xff, 0xff, 0xff]);
    file
}

#[tokio::test]
async fn bombs_are_refused_and_take_no_memory() {
    let renderer = samples::renderer();
    let pixels = Error::TooLarge(Excess::Pixels);
    let bombs: [(&str, Vec<u8>, Error); 19] = [
        ("a whole PNG", black_png(50_000, 50_000), pixels),
        ("a very wide PNG", black_png(48_000_000, 1), pixels),
        ("a very tall PNG", png_header(1, 48_000_000), pixels),
        ("a very wide TIFF", tiff(30_000_000, 1, 30_000_000), pixels),
        ("the header of a PNG", png_header(50_000, 50_000), pixels),
        ("a PNG of the largest size", png_header(0x7fff_ffff, 0x7fff_ffff), pixels),
        ("a GIF's screen", gif((65_535, 65_535), (1, 1)), pixels),
        ("a GIF's frame", gif((1, 1), (65_535, 65_535)), Error::TooLarge(Excess::Memory)),
        ("a TIFF", tiff(20_000, 20_000, 400_000_000), pixels),
        ("a TIFF's strip", tiff(5_000, 5_000, 0xffff_ffff), Error::Invalid),
        ("a bitmap", bmp(60_000, 60_000), pixels),
        ("a bitmap upside down", bmp(60_000, -60_000), pixels),
        ("a PNG in an icon", ico(&png_header(50_000, 50_000)), pixels),
        ("a JPEG", jpeg(65_000), pixels),
        ("a WebP's canvas", webp_canvas(16_384, 16), pixels),
        ("a WebP's frame", webp_canvas(16, 16_383), pixels),
        ("a WebP without loss", webp_lossless(16_384), pixels),
        ("a WebP's chunk", webp_endless(), Error::Invalid),
        ("an icon of nothing", ico(b""), Error::Invalid),
    ];
    for (name, source, expected) in bombs {
        let result = renderer.render("owner", source.into(), &Options::default()).await;
        assert_eq!(result, Err(expected), "{name}");
    }
    if let Some(peak) = peak() {
        assert!(peak < 700 * 1024 * 1024, "{peak} bytes at the peak");
    }
}

/// Whatever is cut off or changed: an answer, and never that of a panic.
#[tokio::test]
async fn damaged_files_are_answered() {
    let renderer = samples::renderer();
    let options = Options { width: Some(8), ..Options::default() };
    let mut chance = 1_u64;
    for kind in KINDS {
        let whole = samples::of_kind(kind, &samples::halves(32, 24));
        for part in 0..16 {
            let cut = whole[..whole.len() * part / 16].to_vec();
            let result = renderer.render("owner", cut.into(), &options).await;
            assert!(!matches!(result, Err(Error::Internal(_))), "{kind:?} cut at {part}/16: {result:?}");
        }
        for round in 0..60 {
            let mut changed = whole.clone();
            for _ in 0..=round % 4 {
                // A linear congruential generator: the same files at every run.
                chance =
                    chance.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                let at = (chance >> 33) as usize % changed.len();
                changed[at] = (chance >> 20) as u8;
            }
            let result = renderer.render("owner", changed.into(), &options).await;
            assert!(
                !matches!(result, Err(Error::Internal(_))),
                "{kind:?} changed in round {round}: {result:?}"
            );
        }
    }
}
