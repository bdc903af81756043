//! What the agent's log says of the end of operations.

use domain::ids::OperationId;
use wire::agent::{ClaimedOperation, Finish};

/// How an operation ended, and what the service knows of it. Of one that failed, the agent's operator has to hear why.
pub(super) fn ended(id: OperationId, claimed: Option<&ClaimedOperation>, finish: &Finish, known: &str) {
    let environment = claimed.map(|claimed| claimed.environment.key().to_string());
    let app_id = claimed.map(|claimed| claimed.app_id.to_string());
    let app = claimed.and_then(|claimed| claimed.app_name.clone()).or(app_id);
    let status = &finish.status;
    match status.as_str() {
        "Failed" => tracing::warn!(
            operation = %id, environment, app, status, known, cause = finish.failure_cause, text = finish.error_message,
            "an operation has ended"
        ),
        _ => tracing::info!(operation = %id, environment, app, status, known, "an operation has ended"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::work::tests::claimed;
    use std::{
        io::{self, Write},
        sync::{Arc, Mutex},
    };

    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// What is logged of an operation that ended so.
    fn logged(status: &str) -> String {
        let finish = Finish {
            lease_id: uuid::Uuid::from_u128(7),
            status: status.into(),
            error_message: Some("Field 7 is gone.\nAll of it.".into()),
            failure_cause: Some("SchemaBreak".into()),
            installed_version: None,
        };
        let (lines, claimed) = (Lines::default(), claimed());
        let writer = lines.clone();
        let subscriber = tracing_subscriber::fmt()
            .json()
            .with_writer(move || writer.clone())
            .finish();
        tracing::subscriber::with_default(subscriber, || {
            ended(OperationId(claimed.operation_id), Some(&claimed), &finish, status);
        });
        let bytes = lines.0.lock().unwrap().clone();
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn a_failure_is_a_warning_that_says_why_and_where() {
        let line = logged("Failed");
        for told in [
            r#""level":"WARN""#,
            r#""cause":"SchemaBreak""#,
            r#""text":"Field 7 is gone.\nAll of it.""#,
            r#""app":"Sales""#,
            "/production",
        ] {
            assert!(line.contains(told), "{told}: {line}");
        }
        let line = logged("Succeeded");
        assert!(
            line.contains(r#""level":"INFO""#) && line.contains("/production"),
            "{line}"
        );
    }
}
