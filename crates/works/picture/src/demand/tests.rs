//! What is asked for is compared with what a process of its own really takes.

use std::path::{Path, PathBuf};
use std::process::Command;

use image::{DynamicImage, ImageFormat, Rgba, RgbaImage};

use crate::limits::Admission;
use crate::{Compass, Format, Gravity, Limits, Options, job};

/// Says to a process started by a test which source it renders, and how.
const CASE: &str = "PICTURE_DEMAND_CASE";
/// What allocators keep of what was given back, and everything that is small.
const SLACK: u64 = 12 << 20;

/// The most memory this process ever had, where the system says so.
fn peak() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
    line.split_whitespace().nth(1)?.parse::<u64>().ok().map(|kilobytes| kilobytes * 1024)
}

/// The cases: how a source is rendered.
fn cases() -> Vec<(&'static str, Options)> {
    let whole = |format| Options { quality: Some(100), format: Some(format), ..Options::default() };
    let narrow = Options { width: Some(1), height: Some(1), ..whole(Format::Png) };
    let half = Options { width: Some(700), ..whole(Format::Jpeg) };
    let smart = Options { width: Some(300), height: Some(20), gravity: Gravity::Smart, ..whole(Format::Png) };
    let cut = Options {
        width: Some(20),
        height: Some(1000),
        gravity: Gravity::Side(Compass::West, 0.3, 0.0),
        ..whole(Format::Webp)
    };
    vec![
        ("noise.png", whole(Format::Jpeg)),
        ("noise.png", whole(Format::Png)),
        ("noise.png", whole(Format::Gif)),
        ("noise.png", whole(Format::Webp)),
        ("noise.png", whole(Format::Avif)),
        ("noise.png", half),
        ("noise.png", smart),
        ("noise.png", cut),
        ("noise.jpg", half),
        ("noise.gif", half),
        ("noise.webp", half),
        ("noise.bmp", half),
        ("noise.tiff", half),
        ("wide.png", narrow),
        ("tall.png", narrow),
        ("wide.png", smart),
    ]
}

/// Renders one case in this process: `started as a process of its own` by the test below, and nothing without.
#[test]
#[ignore = "the other half of another test"]
fn one_job() {
    let Ok(case) = std::env::var(CASE) else { return };
    let (number, folder) = case.split_once(' ').expect("a number and a folder");
    let (name, options) = cases().swap_remove(number.parse().expect("a number"));
    let source = std::fs::read(Path::new(folder).join(name)).expect("a source");
    let mut asked = 0;
    let mut reserve = |bytes: u64| {
        asked += bytes;
        Ok(())
    };
    let mut admission = Admission::new(Limits::default(), &mut reserve);
    let before = peak().expect("Linux");
    job::render(&source, &options, &mut admission, &|| true).expect("renders");
    let after = peak().expect("Linux");
    println!("took {} asked {asked}", after - before);
}

fn noise(width: u32, height: u32) -> RgbaImage {
    let mut chance = 1_u32;
    RgbaImage::from_fn(width, height, |_, _| {
        // A linear congruential generator: what cannot be compressed is the worst case.
        chance = chance.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let bytes = chance.to_be_bytes();
        Rgba([bytes[0], bytes[1], bytes[0] ^ bytes[1], bytes[0] | 1])
    })
}

fn sources() -> PathBuf {
    let folder = std::env::temp_dir().join(format!("rowhouse-demand-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("a folder");
    let whole = DynamicImage::ImageRgba8(noise(1100, 1000));
    let rgb = DynamicImage::ImageRgb8(whole.to_rgb8());
    for (name, image, format) in [
        ("noise.png", &whole, ImageFormat::Png),
        ("noise.jpg", &rgb, ImageFormat::Jpeg),
        ("noise.gif", &whole, ImageFormat::Gif),
        ("noise.webp", &whole, ImageFormat::WebP),
        ("noise.bmp", &rgb, ImageFormat::Bmp),
        ("noise.tiff", &whole, ImageFormat::Tiff),
        ("wide.png", &DynamicImage::ImageRgba8(noise(65_000, 30)), ImageFormat::Png),
        ("tall.png", &DynamicImage::ImageRgba8(noise(30, 65_000)), ImageFormat::Png),
    ] {
        image.save_with_format(folder.join(name), format).expect("encodes");
    }
    folder
}

#[test]
fn no_job_takes_more_than_it_asks_for() {
    if peak().is_none() {
        return;
    }
    let folder = sources();
    let mut over = Vec::new();
    for (number, (name, options)) in cases().into_iter().enumerate() {
        let child = Command::new(std::env::current_exe().expect("a program"))
            .args(["--exact", "demand::tests::one_job", "--ignored", "--nocapture"])
            .env(CASE, format!("{number} {}", folder.display()))
            .output()
            .expect("starts");
        let said = String::from_utf8_lossy(&child.stdout).into_owned();
        let words: Vec<&str> = said.split_whitespace().collect();
        let after = |word: &str| {
            let at = words.iter().position(|w| *w == word)?;
            words.get(at + 1)?.parse::<u64>().ok()
        };
        let (Some(took), Some(asked)) = (after("took"), after("asked")) else {
            panic!("{name}: {said}{}", String::from_utf8_lossy(&child.stderr));
        };
        println!("{name} {:?}: {} of {} MiB", options.format, took >> 20, asked >> 20);
        if took > asked + SLACK {
            over.push((name, options.format, took, asked));
        }
    }
    let _ = std::fs::remove_dir_all(folder);
    assert!(over.is_empty(), "{over:?}");
}

/// The pictures of a narrow side and a very long one: the resizer's weights are most of what they take.
#[test]
fn long_sides_are_counted() {
    let goal = super::Goal {
        options: Options { width: Some(1), ..Options::default() },
        formats: [Format::Png, Format::Png],
        source: 0,
    };
    let wide = super::after_decoding((65_535, 1), &goal, &Limits::default());
    assert!(wide > 48 * 65_535, "{wide}");
}
