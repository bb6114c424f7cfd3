# find_package(Conclave) for programs that use an install: Conclave::lock, Conclave::election,
# Conclave::client, Conclave::embedded.
include(CMakeFindDependencyMacro)
find_dependency(Threads)
find_dependency(Protobuf)
find_dependency(PkgConfig)
find_dependency(Boost COMPONENTS program_options)
find_dependency(spdlog)
find_dependency(nlohmann_json)
pkg_check_modules(GRPCXX REQUIRED IMPORTED_TARGET grpc++)
pkg_check_modules(CRYPTO REQUIRED IMPORTED_TARGET libcrypto)
pkg_check_modules(LMDB REQUIRED IMPORTED_TARGET lmdb)
include(${CMAKE_CURRENT_LIST_DIR}/ConclaveTargets.cmake)
