//! Requests about several groups: split by group, answered as one in the order of the request.

use std::collections::BTreeMap;

use crate::{Effect, ReplyToken, Response};

/// Requests whose parts have not all been answered.
#[derive(Default)]
pub(super) struct Gathering {
    requests: BTreeMap<u64, Gathered>,
}

struct Gathered {
    token: ReplyToken,
    missing: usize,
    parts: Vec<Option<Response>>,
}

impl Gathering {
    /// Gives every item a token of its own. Without items the empty response is all there is to
    /// say.
    pub(super) fn split<'a, T>(
        &mut self,
        token: ReplyToken,
        items: &'a [T],
        empty: Response,
        out: &mut Vec<Effect<Response>>,
    ) -> Vec<(ReplyToken, &'a T)> {
        if items.is_empty() {
            out.push(Effect::Reply { token, response: empty });
        }
        if items.len() > 1 {
            let parts = items.iter().map(|_| None).collect();
            let gathered = Gathered { token, missing: items.len(), parts };
            self.requests.insert(token.request, gathered);
        }
        let tokens = (0u32..).map(|part| ReplyToken { request: token.request, part });
        tokens.zip(items).collect()
    }

    /// Takes the answers to parts out of what was emitted since `from`, and puts whole ones in.
    pub(super) fn gather(&mut self, from: usize, out: &mut Vec<Effect<Response>>) {
        if self.requests.is_empty() {
            return;
        }
        for effect in out.split_off(from.min(out.len())) {
            match effect {
                Effect::Reply { token, response } => self.on_reply(token, response, out),
                append @ Effect::Append { .. } => out.push(append),
            }
        }
    }

    fn on_reply(&mut self, token: ReplyToken, response: Response, out: &mut Vec<Effect<Response>>) {
        let Some(gathered) = self.requests.get_mut(&token.request) else {
            out.push(Effect::Reply { token, response });
            return;
        };
        let part = usize::try_from(token.part).ok().and_then(|part| gathered.parts.get_mut(part));
        if let Some(part @ None) = part {
            *part = Some(response);
            gathered.missing -= 1;
        }
        if gathered.missing == 0
            && let Some(whole) = self.requests.remove(&token.request)
        {
            let mut parts = whole.parts.into_iter().flatten();
            if let Some(first) = parts.next() {
                let response = parts.fold(first, joined);
                out.push(Effect::Reply { token: whole.token, response });
            }
        }
    }
}

/// Two parts of one response as one.
fn joined(whole: Response, part: Response) -> Response {
    match (whole, part) {
        (Response::OffsetFetch(mut whole), Response::OffsetFetch(part)) => {
            whole.extend(part);
            Response::OffsetFetch(whole)
        }
        (Response::DeleteGroups(mut whole), Response::DeleteGroups(part)) => {
            whole.extend(part);
            Response::DeleteGroups(whole)
        }
        (whole, _) => whole,
    }
}
