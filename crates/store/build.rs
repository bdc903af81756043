//! Lists the migrations: what lies in their folder is run, by the number that its name begins with.

#![allow(clippy::print_stdout, reason = "that is how cargo is spoken to")]

use std::{env, error::Error, fs, path::Path};

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=migrations");
    let mut scripts = Vec::new();
    for file in fs::read_dir("migrations")? {
        let name = file?.file_name().to_string_lossy().into_owned();
        let (number, _) = name.split_once('_').ok_or("a migration has no number")?;
        scripts.push((number.parse::<i64>()?, name));
    }
    scripts.sort();
    let scripts: String = scripts
        .iter()
        .map(|(number, name)| {
            format!(
                "({number}, include_str!(concat!(env!(\"CARGO_MANIFEST_DIR\"), \"/migrations/{name}\"))),\n"
            )
        })
        .collect();
    fs::write(
        Path::new(&env::var("OUT_DIR")?).join("scripts.rs"),
        format!("&[{scripts}]"),
    )?;
    Ok(())
}
