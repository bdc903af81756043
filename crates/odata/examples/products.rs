//! Filters a few rows by the expression in the first argument and shows which are kept.
//!
//! ```text
//! cargo run --example products -- "price lt 10 and contains(title,'Chair')"
//! ```

#![allow(clippy::print_stdout)]

use odata::*;

struct Product {
    id: u128,
    title: &'static str,
    /// In cents.
    price: i64,
}

const ID: usize = 0;
const TITLE: usize = 1;
const PRICE: usize = 2;

impl Row for Product {
    fn value(&self, property: usize) -> Value<'_> {
        match property {
            ID => Value::Guid(Guid(self.id)),
            TITLE => Value::text(self.title),
            PRICE => Number::new(self.price.into(), 2).map_or(Value::Null, Value::Number),
            _ => Value::Null,
        }
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let text = std::env::args().nth(1).unwrap_or_else(|| "price lt 10".into());
    let schema = Schema::new(
        "product",
        vec![
            Property::new("id", Scalar::Guid),
            Property::new("title", Scalar::String),
            Property::new("price", Scalar::Decimal),
        ],
        &["id"],
    );
    let limits = Limits::default();
    let filter = bind_filter(
        &parse_filter(&text, &limits)?,
        &schema,
        &Aliases::default(),
        &limits,
    )?;
    let products = [
        Product {
            id: 1,
            title: "Garden Chair",
            price: 950,
        },
        Product {
            id: 2,
            title: "Oak Chair",
            price: 12_000,
        },
        Product {
            id: 3,
            title: "Cup",
            price: 400,
        },
    ];
    for product in &products {
        if filter.matches(product, Instant::from_ticks(0))? {
            println!("{} {}", Guid(product.id), product.title);
        }
    }
    Ok(())
}
