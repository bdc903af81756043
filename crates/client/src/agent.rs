//! The agent API, by which agents report what is installed, take due operations on, and tell what became of them.

use crate::{
    Client,
    error::{Error, Result},
    package::PackageStream,
    request::{Call, Request},
};
use data_encoding::HEXLOWER;
use domain::ids::OperationId;
use reqwest::{Method, Url};
use sha2::{Digest, Sha256};
use std::time::Duration;
use uuid::Uuid;
use wire::agent::{
    AgentToken, Claim, ClaimRequest, Enrolment, Finish, Finished, Inventory, InventoryResult, LeakedTokens,
    READY_HEADER, Renewal, Renewed, SESSION_HEADER,
};

/// The longest answer but those to inventories, which may say something of each of 20,000 environments.
const ANSWER_BYTES: usize = 4 << 20;
/// How often a download is taken up again without a single byte in between.
const FRUITLESS: u32 = 4;

impl Client {
    /// The address of something in the agent API.
    fn agent(&self, segments: &[&str]) -> Url {
        self.below(&[&["agent", "v1"], segments].concat())
    }

    /// Exchanges an enrolment code for an agent's token. The code is used up by that, so it is sent once.
    pub fn enrol_agent(&self, code: &str) -> Request<AgentToken> {
        let code = code.to_owned();
        Request::new(self, Method::POST, self.agent(&["enrol"])).with_body(&Enrolment { code })
    }

    /// Tells that tokens of the service were found where they do not belong, a hundred at most: they come to their end.
    pub fn report_leaked_tokens(&self, tokens: &[String]) -> Request<()> {
        let tokens = tokens.to_vec();
        let url = self.below(&["tokens", "leaked"]);
        Request::new(self, Method::POST, url).with_body(&LeakedTokens { tokens })
    }
}

/// A running agent as a caller: each call names its session, and says how it is if that was said.
#[derive(Clone, Debug)]
pub struct AgentClient {
    client: Client,
    session: Uuid,
    is_ready: Option<bool>,
}

impl AgentClient {
    /// The agent that `client` signs in as, in this session: one for as long as its process lives.
    #[must_use]
    pub fn new(client: Client, session: Uuid) -> Self {
        Self {
            client,
            session,
            is_ready: None,
        }
    }

    /// The same, saying with each call whether nothing keeps it from its work.
    #[must_use]
    pub fn ready(self, is_ready: bool) -> Self {
        let is_ready = Some(is_ready);
        Self { is_ready, ..self }
    }

    fn call(&self, method: Method, segments: &[&str]) -> Call {
        let call = Call::new(method, self.client.agent(segments)).without_state();
        let call = call.header(SESSION_HEADER, &self.session.to_string());
        match self.is_ready {
            Some(is_ready) => call.header(READY_HEADER, &is_ready.to_string()),
            None => call,
        }
    }

    fn request<T>(&self, method: Method, segments: &[&str]) -> Request<T> {
        Request::of(
            &self.client,
            self.call(method, segments).answered_within(ANSWER_BYTES),
        )
    }

    fn inventory(&self, method: Method, inventory: &Inventory) -> Request<InventoryResult> {
        Request::of(&self.client, self.call(method, &["inventory"])).with_body(inventory)
    }

    fn operation(id: OperationId, verb: &str) -> [String; 3] {
        ["operations".to_owned(), id.to_string(), verb.to_owned()]
    }

    fn of_operation<T>(&self, method: Method, id: OperationId, verb: &str) -> Request<T> {
        self.request(method, &Self::operation(id, verb).each_ref().map(String::as_str))
    }

    /// A new token in the place of the one that was signed in with, which is good for ten more minutes.
    pub fn rotate_agent_token(&self) -> Request<AgentToken> {
        self.request(Method::POST, &["token"])
    }

    /// Reports all environments that the agent serves.
    pub fn put_inventory(&self, inventory: &Inventory) -> Request<InventoryResult> {
        self.inventory(Method::PUT, inventory)
    }

    /// Reports the environments of which something changed.
    pub fn patch_inventory(&self, inventory: &Inventory) -> Request<InventoryResult> {
        self.inventory(Method::PATCH, inventory)
    }

    /// Asks for due operations, and waits for them as long as `asked` says. What was granted in an answer that was lost
    /// is told of again, so it is the next claim that repeats this one.
    pub fn claim_operations(&self, asked: &ClaimRequest) -> Request<Claim> {
        let wait = Duration::from_secs(asked.wait_seconds.into());
        let call = self
            .call(Method::POST, &["claim"])
            .patient(wait)
            .answered_within(ANSWER_BYTES);
        Request::of(&self.client, call).with_body(asked)
    }

    /// Holds an operation for longer, and tells how far it has come.
    pub fn renew_operation(&self, id: OperationId, renewal: &Renewal) -> Request<Renewed> {
        self.of_operation(Method::POST, id, "renew")
            .with_body(renewal)
            .repeatable()
    }

    /// Tells how an operation ended. Telling it twice changes nothing.
    pub fn finish_operation(&self, id: OperationId, finish: &Finish) -> Request<Finished> {
        self.of_operation(Method::POST, id, "finish")
            .with_body(finish)
            .repeatable()
    }

    /// Passes the package of an operation on to `take`, and takes the download up again where it broke off; the SHA-256
    /// of all, in lower-case hexadecimal digits.
    ///
    /// # Errors
    /// Those of [`Request::send`] and of `take`.
    pub async fn get_operation_package<E: From<Error>>(
        &self,
        id: OperationId,
        mut take: impl FnMut(&[u8]) -> Result<(), E>,
    ) -> Result<String, E> {
        let (mut digest, mut taken, mut fruitless) = (Sha256::new(), 0, 0);
        loop {
            let before = taken;
            let mut stream = self.open_package(id, taken).await?;
            // A service that knows no ranges begins anew.
            let mut known = taken.saturating_sub(stream.begins_at);
            let broken = loop {
                match stream.chunk().await {
                    Ok(Some(chunk)) => {
                        let skipped = usize::try_from(known).unwrap_or(usize::MAX).min(chunk.len());
                        known -= skipped as u64;
                        let new = chunk.get(skipped..).unwrap_or_default();
                        digest.update(new);
                        take(new)?;
                        taken += new.len() as u64;
                    }
                    Ok(None) => return Ok(HEXLOWER.encode(&digest.finalize())),
                    Err(error) => break error,
                }
            };
            fruitless = if taken > before { 0 } else { fruitless + 1 };
            if fruitless >= FRUITLESS {
                return Err(broken.into());
            }
        }
    }

    async fn open_package(&self, id: OperationId, first: u64) -> Result<PackageStream> {
        let segments = Self::operation(id, "package");
        let mut call = self.call(Method::GET, &segments.each_ref().map(String::as_str));
        if first > 0 {
            call = call.header("range", &format!("bytes={first}-"));
        }
        let request: Request<()> = Request::of(&self.client, call);
        let (client, answer) = request.open().await?;
        Ok(PackageStream::new(client, answer))
    }
}
