# Reads ALPHACL_CUDA and, where it is ON, finds nvcc and enables the language CUDA.
string(TOUPPER "${ALPHACL_CUDA}" _cuda_given)
if(_cuda_given STREQUAL "EMULATED")
  set(ALPHACL_CUDA emulated)
elseif(_cuda_given MATCHES "^(ON|1|TRUE|YES)$")
  set(ALPHACL_CUDA ON)
elseif(_cuda_given MATCHES "^(OFF|0|FALSE|NO|)$")
  set(ALPHACL_CUDA OFF)
else()
  message(FATAL_ERROR "ALPHACL_CUDA: expected OFF, ON or emulated, got ${ALPHACL_CUDA}")
endif()

if(ALPHACL_CUDA STREQUAL "ON")
  # CUDACXX, the PATH, /usr/local/cuda, and last the wheels: an installed nvcc is the one that its owner chose.
  if(NOT CMAKE_CUDA_COMPILER AND "$ENV{CUDACXX}" STREQUAL "")
    find_program(ALPHACL_NVCC nvcc PATHS /usr/local/cuda/bin)
    if(ALPHACL_NVCC)
      set(CMAKE_CUDA_COMPILER "${ALPHACL_NVCC}")
    else()
      execute_process(
        COMMAND "${Python_EXECUTABLE}" -c
                "import importlib.util as u, os; s = u.find_spec('nvidia'); print(next((f for p in (s.submodule_search_locations if s else ()) if os.path.exists((f := p + '/cu13') + '/bin/nvcc')), ''), end='')"
        OUTPUT_VARIABLE _wheels)
      if(NOT _wheels)
        message(FATAL_ERROR
                "ALPHACL_CUDA=ON needs nvcc: install the CUDA toolkit 13.0 and put its nvcc on the PATH, or name it in "
                "the environment variable CUDACXX, or have it fetched: ALPHACL_CUDA=1 pip install . With "
                "--no-build-isolation, install the build requirements first: pip install "
                "nvidia-cuda-nvcc==13.0.88 nvidia-cuda-crt==13.0.88 nvidia-nvvm==13.0.88 nvidia-cuda-runtime==13.0.96 "
                "nvidia-cuda-cccl==13.0.85; ALPHACL_CUDA=OFF builds for the CPU alone.")
      endif()
      alphacl_stable_copy(_toolkit nvcc "${_wheels}" bin/* nvvm/* include/* lib/libcudart* lib/libcudadevrt.a)
      # The wheels have their libraries in lib, nvcc and g++ look for them in lib64.
      file(CREATE_LINK lib "${_toolkit}/lib64" SYMBOLIC)
      set(CMAKE_CUDA_COMPILER "${_toolkit}/bin/nvcc")
    endif()
  endif()
  if(NOT DEFINED CMAKE_CUDA_ARCHITECTURES AND NOT DEFINED ENV{CUDAARCHS})
    set(CMAKE_CUDA_ARCHITECTURES 80-real 90-real 90-virtual)  # and PTX for what comes after
  endif()
  set(CMAKE_CUDA_RUNTIME_LIBRARY Static)
  set(CMAKE_CUDA_STANDARD 17)
  set(CMAKE_CUDA_STANDARD_REQUIRED ON)
  set(CMAKE_CUDA_EXTENSIONS OFF)
  set(CMAKE_CUDA_VISIBILITY_PRESET hidden)
  enable_language(CUDA)
endif()
