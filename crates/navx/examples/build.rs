//! Writes a package of an app that depends on another: `cargo run --features build --example build -- FILE`.

use std::error::Error;
use std::fs::File;

use navx::PackageBuilder;
use uuid::Uuid;

fn main() -> Result<(), Box<dyn Error>> {
    let path = std::env::args_os().nth(1).ok_or("usage: build FILE")?;
    let (app, base) = (Uuid::from_u128(1), Uuid::from_u128(2));
    PackageBuilder::new(app, "Sales Pack", "Contoso", "1.2.3.4".parse()?)
        .dependency(base, "Base Pack", "Contoso", "1.0".parse()?)
        .payload_bytes(1_000_000)
        .write_to(&mut File::create_new(path)?)?;
    Ok(())
}
