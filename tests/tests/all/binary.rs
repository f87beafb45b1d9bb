//! What is linked into the programs: a code generator into the compiler, and into nothing that runs a guest.

use cord_tests::programs::{self, holds};

/// As it stands in symbols, and in the source paths that a stripped program still holds.
const CODE_GENERATOR: [&[u8]; 2] = [b"cranelift_codegen", b"cranelift-codegen"];

#[test]
fn the_program_that_runs_guests_links_no_code_generator() {
    for text in CODE_GENERATOR {
        assert!(!holds(&programs::cord(), text), "{} is in cord", String::from_utf8_lossy(text));
    }
    let found = CODE_GENERATOR.iter().filter(|text| holds(&programs::compiler(), text)).count();
    assert!(found > 0, "this test would not see a code generator: cord-compile links one");
}

#[test]
fn both_programs_are_of_one_engine() {
    for program in [programs::cord(), programs::compiler()] {
        assert!(holds(&program, b"wasmtime"), "{}", program.display());
    }
}
