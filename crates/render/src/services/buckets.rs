//! What every bucket says of itself: closed, encrypted, versioned, owned by its account, and spoken to over TLS only.

use crate::value::{Map, Value};
use crate::{cat, list, map};

/// `name` where others have to know it beforehand; encrypted with `key`, or by S3 with its own where a service or everybody
/// reads or writes, who could use no key of ours.
pub fn closed(name: Option<Value>, key: Option<Value>) -> Map {
    let encrypted = match key {
        Some(key) => {
            let by = map! { "SSEAlgorithm" => "aws:kms", "KMSMasterKeyID" => key };
            map! { "ServerSideEncryptionByDefault" => by, "BucketKeyEnabled" => true }
        }
        None => map! { "ServerSideEncryptionByDefault" => map! { "SSEAlgorithm" => "AES256" } },
    };
    Map::new()
        .with_some("BucketName", name)
        .with("VersioningConfiguration", map! { "Status" => "Enabled" })
        .with("BucketEncryption", map! { "ServerSideEncryptionConfiguration" => list![encrypted] })
        .with("PublicAccessBlockConfiguration", nobody(true))
        .with("OwnershipControls", owned("BucketOwnerEnforced"))
}

/// Whom it lets in: nobody by access lists ever, and by a policy of its own everybody when it is not `closed`.
pub fn nobody(closed: bool) -> Map {
    map! {
        "BlockPublicAcls" => true, "BlockPublicPolicy" => closed, "IgnorePublicAcls" => true, "RestrictPublicBuckets" => closed,
    }
}

/// Whose the objects are.
pub fn owned(how: &str) -> Map {
    map! { "Rules" => list![map! { "ObjectOwnership" => how }] }
}

/// Nobody speaks to the bucket of that ARN in the clear.
pub fn over_tls(arn: Value) -> Value {
    let statement = map! {
        "Sid" => "TlsOnly", "Effect" => "Deny", "Principal" => "*", "Action" => "s3:*",
        "Resource" => list![arn.clone(), cat![arn, "/*"]],
        "Condition" => map! { "Bool" => map! { "aws:SecureTransport" => "false" } },
    };
    statement.into()
}
