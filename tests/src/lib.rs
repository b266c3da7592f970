//! Shared pieces of the tests.

#[cfg(feature = "authority")]
pub mod authority; //    certificates for tests of TLS
pub mod endless; //      fields without a maximum
pub mod every_shape; //  a message with every shape that the derives offer
pub mod foreign_c; //    C programs with rpcgen's output
pub mod foreign_tool; // where a foreign program is, and what happens when it is missing
pub mod namespace; // tests in a network of their own
pub mod shape_table; //  hundreds of types for properties
