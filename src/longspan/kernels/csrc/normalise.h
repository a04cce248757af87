// Layer normalisation of rows whose columns are spread over a group's threads.
//
//     y = gain ⊙ x̂ + shift,  x̂ = (x - mean(x)) / √(var(x) + ε)
//     dx = (d̂ - mean(d̂) - x̂ ⊙ mean(d̂ ⊙ x̂)) / √(var(x) + ε),  d̂ = gain ⊙ dy
#pragma once

#include "worker.h"

namespace longspan::LONGSPAN_ISA {

constexpr float kEpsilon = 1e-5f;

// The columns of a row: `count` planes of `padded` floats, `size` of them valid in each.
struct Extent {
  int planes;
  index size, padded;
};

// Call f(place, valid lanes) for each vector of the own units of every plane.
template <class F>
LONGSPAN_INLINE void own_vectors(const Worker& w, const Extent& extent, const F& f) {
  // Copies: what f stores might change the others, as far as the compiler knows.
  const auto [planes, size, padded] = extent;
  const index begin = w.unit_begin, end = w.unit_end;
  for (int plane = 0; plane < planes; ++plane)
    for (index u = begin; u < end; u += W) f(plane * padded + u, size - u);
}

// Where a group's threads leave what they found about row j; by turns, so that nobody writes what
// another still reads.
LONGSPAN_INLINE float* partial(const Worker& w, int member, index j) {
  const index rows = w.group.rows > kChunkRows ? w.group.rows : kChunkRows;
  return w.m.partial + (((w.reductions & 1) * w.split + member) * rows + j) * 3;
}

// Find mean and 1/deviation of n rows, values(j) being row j's columns, and call use(j, mean,
// 1/deviation) for each, in every thread of the group.
template <class Values, class Use>
void row_statistics(Worker& w, index n, const Extent& extent, const Values& values, const Use& use) {
  const index units = smaller(extent.size, w.unit_end) - smaller(extent.size, w.unit_begin);
  const float own = static_cast<float>(extent.planes * units);
  const auto finish = [&](index j, float mean, float variance) {
    use(j, mean, 1.0f / __builtin_sqrtf(variance + kEpsilon));
  };
  for (index j = 0; j < n; ++j) {
    const float* row = values(j);
    vec total{}, squares{};
    own_vectors(w, extent, [&](index place, index valid) {
      total += first_lanes(load(row + place), valid);
    });
    const float mean = own > 0.0f ? sum(total) / own : 0.0f;
    own_vectors(w, extent, [&](index place, index valid) {
      const vec centred = first_lanes(load(row + place) - mean, valid);
      squares += centred * centred;
    });
    if (w.split == 1) {
      finish(j, mean, sum(squares) / own);
      continue;
    }
    float* mine = partial(w, w.member, j);
    mine[0] = own, mine[1] = mean, mine[2] = sum(squares);
  }
  if (w.split == 1) return;
  w.wait();
  for (index j = 0; j < n; ++j) {
    float count = 0.0f, mean = 0.0f, squares = 0.0f;
    for (int member = 0; member < w.split; ++member) {
      const float* theirs = partial(w, member, j);
      if (theirs[0] == 0.0f) continue;
      const float both = count + theirs[0], apart = theirs[1] - mean;
      squares += theirs[2] + apart * apart * count * theirs[0] / both;
      mean += apart * theirs[0] / both;
      count = both;
    }
    finish(j, mean, squares / count);
  }
  ++w.reductions;
}

// Backward needs them too; one thread of the group writes them down.
LONGSPAN_INLINE void keep_statistics(const Worker& w, float* place, float mean, float scale) {
  if (w.member) return;
  place[0] = mean;
  place[1] = scale;
}

// Means over the columns of d̂ and d̂ ⊙ x̂ from each thread's sums of them, left in partial()[0] and
// [1]; f(j, mean d̂, mean d̂ ⊙ x̂) for each row.
template <class F>
void gradient_means(Worker& w, index n, float count, const F& f) {
  w.wait();
  for (index j = 0; j < n; ++j) {
    float first = 0.0f, second = 0.0f;
    for (int member = 0; member < w.split; ++member) {
      first += partial(w, member, j)[0];
      second += partial(w, member, j)[1];
    }
    f(j, first / count, second / count);
  }
  ++w.reductions;
}

// The normalised own columns of raw rows are added to the gates' planes. `gains` are gain and shift by
// planes.
inline void add_normalised(Worker& w, const Extent& extent, const float* gains, const float* raw,
                           float mean, float scale, float* gates) {
  const float* shifts = gains + extent.planes * extent.padded;
  own_vectors(w, extent, [&](index place, index) {
    const vec normal = (load(raw + place) - mean) * scale;
    store(gates + place,
          load(gates + place) + normal * load(gains + place) + load(shifts + place));
  });
}

// What a row's way back needs: its raw values, the gradients of the normalised ones, its mean and
// 1/deviation, and where the raw values' gradients go.
struct NormalisedRow {
  const float *raw, *d, *statistics;
  float* d_raw;
};

// The gradients of raw rows of one step, given those of the normalised values; the own sums of the
// gains' gradients (by planes) grow.
template <class RowOf>
void normalised_gradients(Worker& w, index n, const Extent& extent, const float* gains,
                          float* gain_sums, const RowOf& row_of) {
  for (index j = 0; j < n; ++j) {
    const NormalisedRow row = row_of(j);
    const float mean = row.statistics[0], scale = row.statistics[1];
    vec first{}, second{};
    own_vectors(w, extent, [&](index place, index valid) {
      const vec normal = first_lanes((load(row.raw + place) - mean) * scale, valid);
      const vec dy = load(row.d + place), scaled = dy * load(gains + place);
      first += scaled;
      second += scaled * normal;
      store(gain_sums + place, load(gain_sums + place) + dy * normal);
    });
    float* mine = partial(w, w.member, j);
    mine[0] = sum(first), mine[1] = sum(second);
  }
  const float count = static_cast<float>(extent.planes * extent.size);
  gradient_means(w, n, count, [&](index j, float first, float second) {
    const NormalisedRow row = row_of(j);
    const float mean = row.statistics[0], scale = row.statistics[1];
    own_vectors(w, extent, [&](index place, index valid) {
      const vec normal = (load(row.raw + place) - mean) * scale;
      const vec scaled = load(row.d + place) * load(gains + place);
      store(row.d_raw + place, first_lanes((scaled - first - normal * second) * scale, valid));
    });
  });
}

}  // namespace longspan::LONGSPAN_ISA
