// Layers that run one step a call on numpy arrays: kernels/stepper.py. A step takes a microsecond or
// two, so its arguments are read from numpy's own structures, without conversions.
#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>

#define NPY_NO_DEPRECATED_API NPY_2_0_API_VERSION
#include <numpy/ndarraytypes.h>

#include <memory>
#include <string>
#include <vector>

#include "bindings.h"
#include "plan.h"
#include "workspace.h"

namespace nb = nanobind;

namespace longspan {
namespace {

// What the user hears as InputError.
struct BadInput {
  std::string text;
};

// Finds the memory of arrays of float32, (B, width) and contiguous.
class Reader {
 public:
  explicit Reader(index batch)
      : batch_(batch), type_(nb::module_::import_("numpy").attr("ndarray")),
        float32_(nb::module_::import_("numpy").attr("dtype")("float32")) {}

  // `flags`: NPY_ARRAY_WRITEABLE for what a step writes to.
  float* read(PyObject* given, index width, const char* name, int flags) const {
    flags |= NPY_ARRAY_C_CONTIGUOUS | NPY_ARRAY_ALIGNED;
    if (Py_TYPE(given) == reinterpret_cast<PyTypeObject*>(type_.ptr())) {
      auto* array = reinterpret_cast<PyArrayObject*>(given);
      if (reinterpret_cast<PyObject*>(PyArray_DESCR(array)) == float32_.ptr() &&
          PyArray_NDIM(array) == 2 && PyArray_CHKFLAGS(array, flags)) {
        check_shape(PyArray_DIM(array, 0), PyArray_DIM(array, 1), width, name);
        return static_cast<float*>(PyArray_DATA(array));
      }
    }
    return flags & NPY_ARRAY_WRITEABLE ? convert<float>(given, width, name)
                                       : const_cast<float*>(convert<const float>(given, width, name));
  }

 private:
  // Everything else that has memory: subclasses of numpy's arrays, tensors.
  template <class T>
  T* convert(PyObject* given, index width, const char* name) const {
    nb::ndarray<T, nb::ndim<2>, nb::c_contig, nb::device::cpu> array;
    if (!nb::try_cast(nb::handle(given), array, false))
      throw BadInput{"x and the states must be contiguous numpy arrays of float32, as "
                     "initial_state() returns."};
    check_shape(static_cast<index>(array.shape(0)), static_cast<index>(array.shape(1)), width, name);
    return array.data();
  }

  void check_shape(index rows, index columns, index width, const char* name) const {
    if (rows == batch_ && columns == width) return;
    const auto text = [](index a, index b) {
      return "(" + std::to_string(a) + ", " + std::to_string(b) + ")";
    };
    throw BadInput{std::string(name) + " must have shape " + text(batch_, width) + ", got " +
                   text(rows, columns) + "."};
  }

  index batch_;
  nb::object type_, float32_;
};

struct Layer {
  Problem problem;
  PlanOwner owner;
  Workspace scratch;
  std::vector<float> output;  // of all layers but the last
  std::unique_ptr<Prepared> step;

  Layer(const Problem& given, index batch, float* last_output)
      : problem(one_step(given, batch)), owner(problem, 1),
        scratch(chosen->scratch_bytes(problem, owner.plan(), false)) {
    if (!last_output) output.resize(static_cast<std::size_t>(batch * given.P));
    problem.output = {last_output ? last_output : output.data(), 0, problem.P};
    step = chosen->prepare(problem, owner.plan(), scratch.data());
  }
  static Problem one_step(Problem p, index batch) {
    p.T = 1;
    p.B = batch;
    return p;
  }
};

// A stack of layers that runs one step at a time, in place: no allocation, no threads.
class StepperCore {
 public:
  explicit StepperCore(index batch) : batch_(batch), reader_(batch) {}
  StepperCore(const StepperCore&) = delete;
  StepperCore& operator=(const StepperCore&) = delete;

  // The problem's weights are packed now, but small parameters are read at every step. The last
  // layer comes with the array, (B, P), that every step fills and returns.
  void add_layer(const Problem& given, nb::object output) {
    float* data = nullptr;
    if (!output.is_none()) {
      data = reader_.read(output.ptr(), given.P, "The output", NPY_ARRAY_WRITEABLE);
      output_ = std::move(output);
    }
    layers_.push_back(std::make_unique<Layer>(given, batch_, data));
  }

  // Reads x, (B, I); updates states, each (B, ·), layer by layer; returns the output.
  PyObject* step(PyObject* x, PyObject* states) {
    PyObject** state = PySequence_Fast_ITEMS(states);
    PyObject** const end = state + PySequence_Fast_GET_SIZE(states);
    const auto next = [&](index width) {
      if (state == end) throw BadInput{"There are fewer states than the layers have."};
      return reader_.read(*state++, width, "A state", NPY_ARRAY_WRITEABLE);
    };
    StepAddresses at{reader_.read(x, layers_.front()->problem.I, "x", 0), nullptr, nullptr, nullptr};
    std::vector<StepAddresses>& all = addresses_;
    all.clear();
    for (const auto& layer : layers_) {  // nothing is changed before everything has been checked
      const Problem& p = layer->problem;
      at.h = next(p.P);
      at.c = p.cell.kind == Kind::lstm ? next(p.H) : nullptr;
      at.gates = p.weight_gg ? next((p.gates - 1) * p.H) : nullptr;
      all.push_back(at);
      at.x = layer->problem.output.data;
    }
    if (state != end) throw BadInput{"There are more states than the layers have."};
    for (std::size_t k = 0; k < all.size(); ++k) layers_[k]->step->run(all[k]);
    return output_.inc_ref().ptr();
  }

 private:
  index batch_;
  Reader reader_;
  std::vector<std::unique_ptr<Layer>> layers_;
  std::vector<StepAddresses> addresses_;
  nb::object output_;
};

void set_error(const char* type, const std::string& text) {
  try {
    const nb::object error = nb::module_::import_("longspan.errors").attr(type);
    PyErr_SetString(error.ptr(), text.c_str());
  } catch (nb::python_error& failed) {
    failed.restore();
  }
}

// step(x, state), by CPython's fastest convention; names are allowed.
PyObject* step(PyObject* self, PyObject* const* arguments, Py_ssize_t count, PyObject* names) {
  PyObject* given[2] = {};
  const Py_ssize_t named = names ? PyTuple_GET_SIZE(names) : 0;
  bool fits = count + named == 2;
  for (Py_ssize_t k = 0; fits && k < count; ++k) given[k] = arguments[k];
  for (Py_ssize_t k = 0; fits && k < named; ++k) {
    PyObject* name = PyTuple_GET_ITEM(names, k);
    const int place = PyUnicode_CompareWithASCIIString(name, "x") == 0       ? 0
                      : PyUnicode_CompareWithASCIIString(name, "state") == 0 ? 1
                                                                             : -1;
    fits = place >= 0 && !given[place];
    if (fits) given[place] = arguments[count + k];
  }
  if (!fits) {
    PyErr_SetString(PyExc_TypeError, "step takes two arguments, x and state.");
    return nullptr;
  }
  const nb::object states = nb::steal(PySequence_Fast(given[1], "state must be a tuple of arrays"));
  if (!states.is_valid()) {
    PyErr_Clear();
    set_error("InputError", "`state` must be a tuple of arrays, as initial_state() returns.");
    return nullptr;
  }
  try {
    return nb::inst_ptr<StepperCore>(self)->step(given[0], states.ptr());
  } catch (const BadInput& bad) {
    set_error("InputError", bad.text);
  } catch (nb::python_error& failed) {
    failed.restore();
  } catch (const std::exception& failed) {
    PyErr_SetString(PyExc_RuntimeError, failed.what());
  }
  return nullptr;
}

PyMethodDef step_method = {
    "step", reinterpret_cast<PyCFunction>(reinterpret_cast<void (*)()>(&step)),
    METH_FASTCALL | METH_KEYWORDS,
    "step(x, state)\n--\n\nRun one step; see longspan.kernels.Stepper."};

}  // namespace

void add_stepper(nb::module_& m) {
  nb::class_<StepperCore> type(m, "StepperCore");
  type.def(nb::init<index>()).def("add_layer", &StepperCore::add_layer, nb::arg(), nb::arg().none());
  type.attr("step") =
      nb::steal(PyDescr_NewMethod(reinterpret_cast<PyTypeObject*>(type.ptr()), &step_method));
}

}  // namespace longspan
