//! Generates the messages of Kafka from the schemas in `schema/`: one module per schema file.
//!
//! `schema` reads, `types` and `condition` translate, `decode` and `encode` write the two halves
//! of a struct, `module` puts a file together, `tables` and `dispatch` write what spans them.

mod condition;
mod decode;
mod dispatch;
mod encode;
mod module;
mod names;
mod schema;
mod tables;
mod types;

use std::env;
use std::fs;
use std::path::PathBuf;

fn main() {
    println!("cargo::rerun-if-changed=schema");
    let root = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").expect("cargo sets it"));
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets it"));
    let write = |name: &str, text: &str| {
        fs::write(out.join(name), text).expect("the output folder can be written");
    };
    let schemas = schema::read_all(&root.join("schema"));
    let mut modules = String::new();
    for schema in &schemas {
        let name = names::snake_case(&schema.name);
        write(&format!("{name}.rs"), &module::render(schema));
        modules.push_str(&module::declaration(schema, &name));
    }
    write("modules.rs", &modules);
    let table = |name: &str| {
        fs::read_to_string(root.join("schema").join(name)).expect("a table can be read")
    };
    write("error_code.rs", &tables::error_codes(&table("errors.tsv")));
    write("api_key.rs", &tables::api_keys(&schemas, &table("api-versions.tsv")));
    write("request.rs", &dispatch::requests(&schemas));
    write("metadata_record.rs", &dispatch::metadata_records(&schemas));
    write("coordinator_record.rs", &dispatch::coordinator_records(&schemas));
    write("every_message.rs", &dispatch::every_message(&schemas));
    write("every_schema.rs", &dispatch::every_schema(&schema::files(&root.join("schema"))));
}
