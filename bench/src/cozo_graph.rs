//! cozo's own index of vectors, on the vectors and questions of the search benchmark.

use std::collections::BTreeMap;

use cozo::{DataValue, DbInstance, NamedRows, ScriptMutability, Vector};
use platform::now_ms;

use crate::Outcome;
use crate::corpus::DIMENSIONS;

const ROWS_PER_COMMIT: usize = 100;

/// A relation of vectors with an index.
pub(crate) struct CozoGraph(DbInstance);

impl CozoGraph {
    /// Puts in the vectors, numbered from 1; gives the seconds that it took, too.
    pub(crate) fn build(vectors: &[Vec<f32>]) -> Outcome<(Self, f64)> {
        let graph = Self(DbInstance::default());
        graph.run(&format!("{{:create vec {{id: Int => v: <F32; {DIMENSIONS}>}}}}"), BTreeMap::new())?;
        let create = format!(
            "::hnsw create vec:idx {{dim: {DIMENSIONS}, m: 16, dtype: F32, fields: [v], \
             distance: Cosine, ef_construction: 200}}"
        );
        graph.run(&create, BTreeMap::new())?;
        let start_ms = now_ms();
        for (batch, vectors) in vectors.chunks(ROWS_PER_COMMIT).enumerate() {
            let first = (batch * ROWS_PER_COMMIT + 1) as i64;
            let rows = (first..).zip(vectors);
            let rows = rows.map(|(id, vector)| DataValue::List(vec![DataValue::from(id), value(vector)]));
            let params = BTreeMap::from([("rows".to_owned(), DataValue::List(rows.collect()))]);
            graph.run("?[id, v] <- $rows :put vec {id => v}", params)?;
        }
        Ok((graph, (now_ms() - start_ms) / 1e3))
    }

    /// The numbers of the `k` nearest.
    pub(crate) fn search(&self, query: &[f32], k: usize) -> Outcome<Vec<u64>> {
        let script =
            format!("?[dist, id] := ~vec:idx{{id | query: $q, k: {k}, ef: 128, bind_distance: dist}}");
        let rows = self.run(&script, BTreeMap::from([("q".to_owned(), value(query))]))?;
        Ok(rows.rows.iter().filter_map(|row| row[1].get_int()).map(|id| id as u64).collect())
    }

    fn run(&self, script: &str, params: BTreeMap<String, DataValue>) -> Outcome<NamedRows> {
        self.0.run_script(script, params, ScriptMutability::Mutable).map_err(|e| format!("cozo: {e}").into())
    }
}

fn value(vector: &[f32]) -> DataValue {
    DataValue::Vec(Vector::F32(vector.iter().copied().collect()))
}
