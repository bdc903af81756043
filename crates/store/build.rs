//! Lists the migrations: what lies in their folder is run, by the number that its name begins with. One whose first line
//! says so changes nothing that exports carry.

#![allow(clippy::print_stdout, reason = "that is how cargo is spoken to")]

use std::{env, error::Error, fs, path::Path};

const NOT_CARRIED: &str = "-- Exports carry nothing of this.\n";

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=migrations");
    let mut scripts = Vec::new();
    for file in fs::read_dir("migrations")? {
        let name = file?.file_name().to_string_lossy().into_owned();
        let (number, _) = name.split_once('_').ok_or("a migration has no number")?;
        scripts.push((number.parse::<i64>()?, name));
    }
    scripts.sort();
    let is_carried = |name: &str| -> Result<bool, Box<dyn Error>> {
        let text = fs::read_to_string(Path::new("migrations").join(name))?;
        Ok(!text.starts_with(NOT_CARRIED))
    };
    let mut carried = 0;
    for (number, name) in &scripts {
        if is_carried(name)? {
            carried = *number;
        }
    }
    let scripts: String = scripts
        .iter()
        .map(|(number, name)| {
            format!(
                "({number}, include_str!(concat!(env!(\"CARGO_MANIFEST_DIR\"), \"/migrations/{name}\"))),\n"
            )
        })
        .collect();
    let out = env::var("OUT_DIR")?;
    fs::write(Path::new(&out).join("scripts.rs"), format!("&[{scripts}]"))?;
    fs::write(Path::new(&out).join("carried.rs"), carried.to_string())?;
    Ok(())
}
