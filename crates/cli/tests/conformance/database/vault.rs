//! A vault in memory, filled and read by the same driver as the one at a witness.

use std::collections::BTreeMap;

use async_trait::async_trait;
use drivers::postgres::{About, Chain, Entry, LogFile, Needed, Server, Source};
use model::backup::{Mark, RestoreTo};

#[derive(Default)]
pub struct Vault(BTreeMap<String, (Entry, Vec<u8>)>);

impl Vault {
    fn put(&mut self, name: &str, bytes: Vec<u8>, about: About) {
        let entry = Entry { name: name.into(), bytes: bytes.len() as u64, sha256: String::new(), about };
        self.0.entry(name.into()).or_insert((entry, bytes));
    }

    /// What a restore to a moment takes, if it is all here.
    pub fn needed(&self, to: &RestoreTo) -> Option<Needed> {
        let entries: Vec<Entry> = self.0.values().map(|(entry, _)| entry.clone()).collect();
        Chain::new(&entries).needed(to)
    }

    /// A full backup if there is none, and all of the log up to now.
    pub async fn archive(&mut self, server: &Server) {
        if self.0.is_empty() {
            let (sender, mut parts) = tokio::sync::mpsc::channel(1);
            let gather = async {
                let mut all = Vec::new();
                while let Some(part) = parts.recv().await {
                    all.extend(part);
                }
                all
            };
            let (base, bytes) = tokio::join!(server.base(sender), gather);
            let from = base.expect("a full backup").from;
            self.put("base-1", bytes, About::Base { site: server.config().site.clone(), from });
        }
        let mark = server.mark().await.expect("an end of a file of the log");
        for file in server.complete_logs().await.expect("the files of the log") {
            let content = file.read().expect("a file of the log");
            self.put(&file.name, content.clone(), about(&file, content, mark));
        }
    }
}

fn about(file: &LogFile, content: Vec<u8>, mark: Mark) -> About {
    let Some(place) = file.place else {
        return About::History { text: String::from_utf8(content).expect("a history is text") };
    };
    let last = place == (mark.timeline, (mark.lsn.0 - 1) / file.segment_bytes);
    About::Log { segment_bytes: file.segment_bytes, mark: last.then_some(mark) }
}

#[async_trait]
impl Source for Vault {
    async fn part(&self, base: &str, offset: u64) -> Result<Vec<u8>, String> {
        let rest = self.0[base].1.get(offset as usize..).ok_or("past the end")?;
        Ok(rest[..rest.len().min(1 << 20)].to_vec())
    }
    async fn file(&self, name: &str) -> Result<Vec<u8>, String> {
        self.0.get(name).map(|(_, bytes)| bytes.clone()).ok_or(format!("{name} is not here"))
    }
}
